//! Building documents by appending elements to a growing vector.

use std::borrow::BorrowMut;

use crate::{Element, append, kind, range_in};

/// Appends elements to a growing document. Every `begin` needs its `end`, and the bytes are a document only
/// after [`finish`](Writer::finish).
///
/// Writes to a vector of its own or, as a [`DocumentWriter`], to the end of a borrowed vector.
#[derive(Debug)]
pub struct Writer<B = Vec<u8>> {
    bytes: B,
    start: usize,
}

/// Appends a document to a vector that may already hold others.
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

/// The start of an open embedded document.
#[derive(Debug)]
#[must_use = "a document that is begun must be ended"]
pub struct Mark(usize);

impl Writer {
    /// Starts a document.
    pub fn new() -> Self {
        Self::continuing(vec![0; 5])
    }

    /// Starts with the elements of `head`, a complete document.
    pub fn continuing(head: Vec<u8>) -> Self {
        let mut bytes = head;
        bytes.pop();
        Self { bytes, start: 0 }
    }

    /// Ends the outermost document and returns its bytes.
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
    /// Starts a document after the existing contents of `bytes`.
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
    /// Reserves room for `bytes` more: repeated growth would copy the contents each time.
    #[inline]
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.borrow_mut().reserve(bytes);
    }

    /// Starts an embedded document or array called `name`.
    #[inline]
    pub fn begin(&mut self, kind: u8, name: &[u8]) -> Mark {
        self.name(kind, name);
        let bytes = self.bytes.borrow_mut();
        let mark = Mark(bytes.len());
        bytes.extend_from_slice(&[0; 4]);
        mark
    }

    /// Ends the document or array started at `mark`, which must be the innermost open document.
    #[inline]
    pub fn end(&mut self, mark: Mark) {
        self.bytes.borrow_mut().push(0);
        self.patch(mark.0);
    }

    /// Appends an element with an encoded value.
    #[inline]
    pub fn value(&mut self, kind: u8, name: &[u8], value: &[u8]) {
        self.name(kind, name);
        self.raw(value);
    }

    /// Appends a string. Invariant: a name holds no NUL.
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

    /// Appends a double, preserving its bits.
    #[inline]
    pub fn double(&mut self, name: &[u8], number: f64) {
        self.value(kind::DOUBLE, name, &number.to_le_bytes());
    }

    /// Appends a boolean.
    #[inline]
    pub fn boolean(&mut self, name: &[u8], truth: bool) {
        self.value(kind::BOOLEAN, name, &[truth.into()]);
    }

    /// Appends a date, in milliseconds since 1970.
    #[inline]
    pub fn date(&mut self, name: &[u8], milliseconds: i64) {
        self.value(kind::DATE, name, &milliseconds.to_le_bytes());
    }

    /// Appends null.
    #[inline]
    pub fn null(&mut self, name: &[u8]) {
        self.value(kind::NULL, name, &[]);
    }

    /// Appends an object id.
    #[inline]
    pub fn object_id(&mut self, name: &[u8], id: [u8; 12]) {
        self.value(kind::OBJECT_ID, name, &id);
    }

    /// Appends an element of another document unchanged.
    #[inline]
    pub fn copy(&mut self, element: &Element<'_>) {
        self.raw(element.raw);
    }

    /// Appends the elements of `run` before `element`, which must be part of `run`. With [`raw`](Self::raw) for
    /// the rest, long runs of unchanged elements are copied at once:
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

    /// Appends encoded elements, or a part of an element, unchanged.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        append(self.bytes.borrow_mut(), bytes);
    }

    /// Appends the elements of `document`, without its length and final NUL.
    pub fn splice(&mut self, document: &[u8]) {
        let inner = document.get(4..document.len().saturating_sub(1));
        self.raw(inner.unwrap_or_default());
    }

    /// The length of the document so far, without its final NUL.
    pub fn len(&self) -> usize {
        self.bytes.borrow().len().saturating_sub(self.start)
    }

    /// Always false: a document begins with its length.
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

    /// Writes the length of the document that starts at `start`. A BSON length is an i32; commands are flushed
    /// long before that.
    #[inline]
    fn patch(&mut self, start: usize) {
        let bytes = self.bytes.borrow_mut();
        let length = i32::try_from(bytes.len().saturating_sub(start)).unwrap_or(i32::MAX);
        if let Some(prefix) = bytes.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            *prefix = length.to_le_bytes();
        }
    }
}
