//! Edits of a document while it is copied to a buffer.
//!
//! Nothing is written before the first edit, and the bytes between two edits are copied in a single run. Edits
//! must be in document order, inside the documents that are open. The length of a document is corrected when it
//! is left. The outermost document must be entered too.
//!
//! ```
//! use tidegate_plugin_sdk::bson::{Malformed, elements, range_in};
//! use tidegate_plugin_sdk::edit::Edit;
//!
//! /// Appends `document` without `name`, unless it has no such field.
//! fn without(document: &[u8], name: &[u8], out: &mut Vec<u8>) -> Result<bool, Malformed> {
//!     let mut edit = Edit::new(document, out);
//!     let entered = edit.enter(0);
//!     for element in elements(document)? {
//!         let element = element?;
//!         if element.is_named(name) {
//!             edit.remove(range_in(document, element.raw));
//!         }
//!     }
//!     edit.leave(&entered, document.len());
//!     Ok(edit.finish())
//! }
//! # let (mut out, one) = (Vec::new(), b"\x08\0\0\0\x0aa\0\0");
//! # assert_eq!(without(one, b"a", &mut out), Ok(true));
//! # assert_eq!(out, b"\x05\0\0\0\0");
//! # assert_eq!(without(one, b"b", &mut out), Ok(false));
//! ```

use std::ops::Range;

use raw_bson::append;

/// A document, and the part of it that has been written.
#[derive(Debug)]
pub struct Edit<'a> {
    document: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Bytes of the document already copied, replaced or removed.
    done: usize,
}

/// A document that has been entered.
#[derive(Debug)]
#[must_use = "a document that is entered must be left"]
pub struct OpenDocument {
    start: usize,
    /// The index of its length in the buffer, once that is written.
    length_at: usize,
}

impl<'a> Edit<'a> {
    /// Starts without edits, after the existing contents of `out`.
    #[inline]
    pub fn new(document: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            document,
            out,
            done: 0,
        }
    }

    /// Enters the document whose length is at `start`.
    #[inline]
    pub fn enter(&self, start: usize) -> OpenDocument {
        OpenDocument {
            start,
            length_at: self.out.len() + start.saturating_sub(self.done),
        }
    }

    /// Leaves a document that ends before `end`.
    #[inline]
    pub fn leave(&mut self, entered: &OpenDocument, end: usize) {
        if self.done <= entered.start {
            return;
        }
        let end = self.out.len() + end.saturating_sub(self.done);
        let length = i32::try_from(end.saturating_sub(entered.length_at)).unwrap_or(i32::MAX);
        let prefix = self.out.get_mut(entered.length_at..entered.length_at + 4);
        if let Some(prefix) = prefix {
            prefix.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Removes `range`.
    #[inline]
    pub fn remove(&mut self, range: Range<usize>) {
        self.copy_until(range.start);
        self.done = range.end;
    }

    /// Replaces `range` by the bytes that `write` appends. Returns the result of `write`. If that is false, or
    /// the bytes are the same as before, nothing changes.
    #[inline]
    pub fn replace(
        &mut self,
        range: Range<usize>,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        let (written, done) = (self.out.len(), self.done);
        self.remove(range.clone());
        let mark = self.out.len();
        let fits = write(self.out);
        if !fits || self.out.get(mark..) == self.document.get(range) {
            self.out.truncate(written);
            self.done = done;
        }
        fits
    }

    /// Copies the rest of the document, unless nothing changed. Returns whether anything did.
    #[inline]
    pub fn finish(mut self) -> bool {
        let changed = self.done > 0;
        if changed {
            self.copy_until(self.document.len());
        }
        changed
    }

    #[inline]
    fn copy_until(&mut self, end: usize) {
        let run = self.document.get(self.done..end).unwrap_or_default();
        append(self.out, run);
    }
}
