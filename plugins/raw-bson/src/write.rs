//! Writing documents by appending elements to a growing vector of bytes.

use std::borrow::BorrowMut;

use crate::{Element, append, kind, range_in};

/// Appends elements to one growing document. Every `begin` has its `end`, and
/// what is written is a document once [`finish`](Writer::finish) is called.
///
/// It writes to a vector of its own, or, as a [`DocumentWriter`], to the end of
/// somebody else's.
#[derive(Debug)]
pub struct Writer<B = Vec<u8>> {
    bytes: B,
    start: usize,
}

/// Appends a document to a vector that may hold others already.
///
/// ```
/// use raw_bson::DocumentWriter;
///
/// let mut batch = Vec::new();
/// for number in [1, 2] {
///     let mut writer = DocumentWriter::append_to(&mut batch);
///     writer.int32(b"n", number);
///     writer.finish();
/// }
/// assert_eq!(batch.len(), 24);
/// ```
pub type DocumentWriter<'a> = Writer<&'a mut Vec<u8>>;

/// Where a document that is being written began.
#[derive(Debug)]
#[must_use = "a document that is begun must be ended"]
pub struct Mark(usize);

impl Writer {
    /// Begins a document.
    pub fn new() -> Self {
        Self::continuing(vec![0; 5])
    }

    /// Begins with the elements of `head`; more can follow.
    pub fn continuing(head: Vec<u8>) -> Self {
        let mut bytes = head;
        bytes.pop();
        Self { bytes, start: 0 }
    }

    /// Ends the outermost document and gives its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.end(Mark(0));
        self.bytes
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> DocumentWriter<'a> {
    /// Begins a document behind what is in `bytes`.
    #[inline]
    pub fn append_to(bytes: &'a mut Vec<u8>) -> Self {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, start }
    }

    /// Ends the outermost document.
    #[inline]
    pub fn finish(mut self) {
        self.end(Mark(self.start));
    }
}

impl<B: BorrowMut<Vec<u8>>> Writer<B> {
    /// Makes room for `bytes` more: growing step by step would copy what is there each time.
    #[inline]
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.borrow_mut().reserve(bytes);
    }

    /// Begins an embedded document or array called `name`.
    #[inline]
    pub fn begin(&mut self, kind: u8, name: &[u8]) -> Mark {
        self.name(kind, name);
        let bytes = self.bytes.borrow_mut();
        let mark = Mark(bytes.len());
        bytes.extend_from_slice(&[0; 4]);
        mark
    }

    /// Ends the document or array that began at `mark`, the last that is open.
    #[inline]
    pub fn end(&mut self, mark: Mark) {
        self.bytes.borrow_mut().push(0);
        self.patch(mark.0);
    }

    /// Appends an element whose value is already BSON.
    #[inline]
    pub fn value(&mut self, kind: u8, name: &[u8], value: &[u8]) {
        self.name(kind, name);
        self.raw(value);
    }

    /// Appends a string element. A name cannot hold a NUL.
    #[inline]
    pub fn string(&mut self, name: &[u8], text: &str) {
        self.name(kind::STRING, name);
        let length = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
        self.raw(&length.to_le_bytes());
        self.raw(text.as_bytes());
        self.raw(&[0]);
    }

    /// Appends a 32-bit integer.
    #[inline]
    pub fn int32(&mut self, name: &[u8], number: i32) {
        self.value(kind::INT32, name, &number.to_le_bytes());
    }

    /// Appends a 64-bit integer.
    #[inline]
    pub fn int64(&mut self, name: &[u8], number: i64) {
        self.value(kind::INT64, name, &number.to_le_bytes());
    }

    /// Appends a double, with the bits that it has.
    #[inline]
    pub fn double(&mut self, name: &[u8], number: f64) {
        self.value(kind::DOUBLE, name, &number.to_le_bytes());
    }

    #[inline]
    pub fn boolean(&mut self, name: &[u8], truth: bool) {
        self.value(kind::BOOLEAN, name, &[truth.into()]);
    }

    /// Appends a date, in milliseconds since 1970.
    #[inline]
    pub fn date(&mut self, name: &[u8], milliseconds: i64) {
        self.value(kind::DATE, name, &milliseconds.to_le_bytes());
    }

    #[inline]
    pub fn null(&mut self, name: &[u8]) {
        self.value(kind::NULL, name, &[]);
    }

    #[inline]
    pub fn object_id(&mut self, name: &[u8], id: [u8; 12]) {
        self.value(kind::OBJECT_ID, name, &id);
    }

    /// Appends an element of another document as it is.
    #[inline]
    pub fn copy(&mut self, element: &Element<'_>) {
        self.raw(element.raw);
    }

    /// Appends those elements of `run` that stand before `element`, which is one
    /// of them; with [`raw`](Self::raw) for what stands behind, long runs of
    /// unchanged elements are copied at once:
    ///
    /// ```
    /// use raw_bson::{Malformed, Writer, elements};
    ///
    /// /// `document` without its elements called `name`.
    /// fn without(document: &[u8], name: &[u8]) -> Result<Vec<u8>, Malformed> {
    ///     let mut writer = Writer::new();
    ///     let mut walk = elements(document)?;
    ///     let mut run = walk.rest();
    ///     while let Some(element) = walk.find_name(name)? {
    ///         writer.copy_until(run, &element);
    ///         run = walk.rest();
    ///     }
    ///     writer.raw(run);
    ///     Ok(writer.finish())
    /// }
    ///
    /// let mut writer = Writer::new();
    /// writer.string(b"a", "1");
    /// let only_a = without(&writer.finish(), b"b")?;
    /// assert_eq!(without(&only_a, b"a")?, [5, 0, 0, 0, 0]);
    /// # Ok::<(), Malformed>(())
    /// ```
    #[inline]
    pub fn copy_until(&mut self, run: &[u8], element: &Element<'_>) {
        let end = range_in(run, element.raw).start;
        self.raw(run.get(..end).unwrap_or_default());
    }

    /// Appends whole elements, or part of one, as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        append(self.bytes.borrow_mut(), bytes);
    }

    /// Appends the elements of `document`, without its frame.
    pub fn splice(&mut self, document: &[u8]) {
        let inner = document.get(4..document.len().saturating_sub(1));
        self.raw(inner.unwrap_or_default());
    }

    /// The bytes of the document so far, its final NUL not among them.
    pub fn len(&self) -> usize {
        self.bytes.borrow().len().saturating_sub(self.start)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn name(&mut self, kind: u8, name: &[u8]) {
        let bytes = self.bytes.borrow_mut();
        bytes.reserve(name.len() + 2);
        bytes.push(kind);
        append(bytes, name);
        bytes.push(0);
    }

    /// Writes the length of the document that began at `start`. A BSON length
    /// is an i32; commands are flushed long before that.
    #[inline]
    fn patch(&mut self, start: usize) {
        let bytes = self.bytes.borrow_mut();
        let length = i32::try_from(bytes.len().saturating_sub(start)).unwrap_or(i32::MAX);
        if let Some(prefix) = bytes.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            *prefix = length.to_le_bytes();
        }
    }
}
