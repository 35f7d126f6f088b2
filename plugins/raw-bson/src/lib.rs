//! Raw BSON: a walker over elements, a document writer, and MongoDB's own semantics of values (comparison,
//! decimal conversion, paths).
//!
//! The hot paths move documents from socket to socket, and through plugins, without building values. They need
//! operations that the `bson` crate does not offer cheaply: the stored bytes of an element, a document's length
//! without validation of its contents, and appending elements to a growing document. Both sides of the plugin
//! boundary use this crate, so it has no hidden allocations and almost no dependencies. Input is untrusted:
//! malformed bytes are an error, never a panic, and recursion is bounded.
//!
//! ```
//! use raw_bson::{Malformed, Writer, elements, kind};
//!
//! /// `document` without its strings.
//! fn without_strings(document: &[u8]) -> Result<Vec<u8>, Malformed> {
//!     let mut writer = Writer::new();
//!     for element in elements(document)? {
//!         let element = element?;
//!         if element.kind != kind::STRING {
//!             writer.copy(&element);
//!         }
//!     }
//!     Ok(writer.finish())
//! }
//!
//! let mut writer = Writer::new();
//! writer.string(b"name", "Ann");
//! writer.value(kind::INT32, b"age", &40_i32.to_le_bytes());
//! let without = without_strings(&writer.finish())?;
//! assert!(raw_bson::find(&without, "name")?.is_none());
//! assert!(raw_bson::find(&without, "age")?.is_some());
//! # Ok::<(), Malformed>(())
//! ```

pub mod compare;
pub mod decimal;
pub mod kind;
pub mod path;

mod scan;
mod validate;
mod value;
mod walk;
mod write;

use std::ops::Range;

pub use scan::append;
pub use validate::{MAX_DEPTH, validate, validate_layout};
pub use value::Value;
pub use walk::{Element, Elements, Sequence, documents, elements, find, length_of, sequence};
pub use write::{DocumentWriter, Mark, Writer};

/// The error for bytes that are not a BSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed BSON")]
pub struct Malformed;

/// The position of `part` in `whole`. `part` must borrow from `whole`.
#[inline]
pub fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.wrapping_add(part.len())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
