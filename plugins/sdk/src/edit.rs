//! Changes to one document on the way into a buffer.
//!
//! Nothing is written before the first change; between two changes, bytes are
//! copied in one run. Changes come in the order of the document, and each lies
//! within the documents that are entered and not yet left, whose lengths are put
//! right as they are left. The outermost document is one of them.
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

/// One document, and what of it has been written.
#[derive(Debug)]
pub struct Edit<'a> {
    document: &'a [u8],
    out: &'a mut Vec<u8>,
    /// How much of the document is behind us: copied, replaced or removed.
    done: usize,
}

/// A document that is entered.
#[derive(Debug)]
#[must_use = "a document that is entered must be left"]
pub struct OpenDocument {
    start: usize,
    /// Where its length is, or will be, in the buffer.
    length_at: usize,
}

impl<'a> Edit<'a> {
    /// Begins with nothing changed, behind what is in `out`.
    #[inline]
    pub fn new(document: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            document,
            out,
            done: 0,
        }
    }

    /// Goes into the document whose length stands at `start`.
    #[inline]
    pub fn enter(&self, start: usize) -> OpenDocument {
        OpenDocument {
            start,
            length_at: self.out.len() + start.saturating_sub(self.done),
        }
    }

    /// Comes out of a document that ends before `end`.
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

    /// Takes `range` out.
    #[inline]
    pub fn remove(&mut self, range: Range<usize>) {
        self.copy_until(range.start);
        self.done = range.end;
    }

    /// Puts in place of `range` what `write` appends. When it answers false, or
    /// appends what was there before, nothing changes.
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

    /// Writes what is left, unless nothing changed; says whether anything did.
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
