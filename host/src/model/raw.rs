//! Raw BSON as bytes: a walker over elements and a writer of documents.
//!
//! The hot paths move documents from socket to socket without building values.
//! They need three things that the `bson` crate does not give cheaply: an
//! element's value as the bytes it is stored as, a document's length without
//! validation of what is in it, and appending elements to a growing command.
//! Input comes from a server: malformed bytes are an error, never a panic.

use std::ops::Range;

/// Bytes that are not a BSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed BSON")]
pub struct Malformed;

/// BSON element types used here by name.
pub mod kind {
    pub const STRING: u8 = 0x02;
    pub const DOCUMENT: u8 = 0x03;
    pub const ARRAY: u8 = 0x04;
    pub const BINARY: u8 = 0x05;
    pub const BOOLEAN: u8 = 0x08;
    pub const INT32: u8 = 0x10;
    pub const TIMESTAMP: u8 = 0x11;
}

/// One element: its type, its name without the final NUL, and its value's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    pub kind: u8,
    pub name: &'a [u8],
    pub value: &'a [u8],
}

/// The elements of one document or array, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

/// Walks the elements of `document` (length prefix and final NUL included).
pub fn elements(document: &[u8]) -> Result<Elements<'_>, Malformed> {
    let length = length_of(document)?;
    let inner = document
        .get(4..length.checked_sub(1).ok_or(Malformed)?)
        .ok_or(Malformed)?;
    Ok(Elements { rest: inner })
}

/// The length that a document's first four bytes state; never more than `bytes` holds.
pub fn length_of(bytes: &[u8]) -> Result<usize, Malformed> {
    let length = usize::try_from(read_i32(bytes)?).map_err(|_negative| Malformed)?;
    if length < 5 || length > bytes.len() {
        Err(Malformed)
    } else {
        Ok(length)
    }
}

/// The first element called `name`, if there is one.
pub fn find<'a>(document: &'a [u8], name: &str) -> Result<Option<Element<'a>>, Malformed> {
    for element in elements(document)? {
        let element = element?;
        if element.name == name.as_bytes() {
            return Ok(Some(element));
        }
    }
    Ok(None)
}

/// The documents of a BSON array, as bytes.
pub fn documents(
    array: &[u8],
) -> Result<impl Iterator<Item = Result<&[u8], Malformed>>, Malformed> {
    Ok(elements(array)?.map(|element| match element? {
        Element {
            kind: kind::DOCUMENT,
            value,
            ..
        } => Ok(value),
        _ => Err(Malformed),
    }))
}

/// Where `part`, which borrows from `whole`, lies in it.
pub fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.wrapping_add(part.len())
}

impl<'a> Element<'a> {
    /// The text of a string element.
    pub fn as_str(&self) -> Option<&'a str> {
        let text = self.value.get(4..self.value.len().checked_sub(1)?)?;
        if self.kind == kind::STRING {
            std::str::from_utf8(text).ok()
        } else {
            None
        }
    }

    /// The bytes of a document element.
    pub fn as_document(&self) -> Option<&'a [u8]> {
        (self.kind == kind::DOCUMENT).then_some(self.value)
    }

    /// A timestamp element as seconds and increment.
    pub fn as_timestamp(&self) -> Option<super::ClusterTime> {
        let bits = u64::from_le_bytes(self.value.try_into().ok()?);
        (self.kind == kind::TIMESTAMP).then(|| super::ClusterTime::from_bits(bits))
    }

    /// A UUID element (binary subtype 4).
    pub fn as_uuid(&self) -> Option<[u8; 16]> {
        let is_uuid = self.kind == kind::BINARY && self.value.get(4) == Some(&4);
        self.value.get(5..).filter(|_| is_uuid)?.try_into().ok()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.rest.split_first()?;
        let element = split_element(kind, rest);
        self.rest = element.map_or(&[], |(_, rest)| rest);
        Some(element.map(|(element, _)| element))
    }
}

fn split_element(kind: u8, bytes: &[u8]) -> Result<(Element<'_>, &[u8]), Malformed> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
    let (name, after) = bytes.split_at_checked(end).ok_or(Malformed)?;
    let after = after.get(1..).ok_or(Malformed)?;
    let (value, rest) = after
        .split_at_checked(value_length(kind, after)?)
        .ok_or(Malformed)?;
    Ok((Element { kind, name, value }, rest))
}

/// The bytes that a value of `kind` at the head of `bytes` takes (bsonspec.org).
fn value_length(kind: u8, bytes: &[u8]) -> Result<usize, Malformed> {
    Ok(match kind {
        0x06 | 0x0A | 0x7F | 0xFF => 0,
        0x08 => 1,
        0x10 => 4,
        0x01 | 0x09 | 0x11 | 0x12 => 8,
        0x07 => 12,
        0x13 => 16,
        0x02 | 0x0D | 0x0E => prefixed(bytes, 4)?,
        0x05 => prefixed(bytes, 5)?,
        0x0C => prefixed(bytes, 16)?,
        0x03 | 0x04 | 0x0F => prefixed(bytes, 0)?,
        0x0B => {
            let mut ends = bytes
                .iter()
                .enumerate()
                .filter_map(|(at, &byte)| (byte == 0).then_some(at));
            ends.nth(1).ok_or(Malformed)? + 1
        }
        _ => return Err(Malformed),
    })
}

fn prefixed(bytes: &[u8], extra: usize) -> Result<usize, Malformed> {
    let length = usize::try_from(read_i32(bytes)?).map_err(|_negative| Malformed)?;
    length.checked_add(extra).ok_or(Malformed)
}

fn read_i32(bytes: &[u8]) -> Result<i32, Malformed> {
    let prefix: [u8; 4] = bytes
        .get(..4)
        .and_then(|p| p.try_into().ok())
        .ok_or(Malformed)?;
    Ok(i32::from_le_bytes(prefix))
}

/// Appends elements to one growing document. Every `begin` has its `end`.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// Where a document that is being written began.
#[derive(Debug)]
#[must_use = "a document that is begun must be ended"]
pub struct Mark(usize);

impl Writer {
    /// Begins with the elements of `head`; more can follow.
    pub fn continuing(head: Vec<u8>) -> Self {
        let mut bytes = head;
        bytes.pop();
        Self { bytes }
    }

    /// Makes room for `bytes` more: growing step by step would copy what is there each time.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Begins an embedded document or array called `name`.
    pub fn begin(&mut self, kind: u8, name: &[u8]) -> Mark {
        self.name(kind, name);
        let mark = Mark(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 4]);
        mark
    }

    pub fn end(&mut self, mark: Mark) {
        self.bytes.push(0);
        self.patch(mark.0);
    }

    /// Appends an element whose value is already BSON.
    pub fn value(&mut self, kind: u8, name: &[u8], value: &[u8]) {
        self.name(kind, name);
        self.bytes.extend_from_slice(value);
    }

    /// Appends the elements of `document`, without its frame.
    pub fn splice(&mut self, document: &[u8]) {
        let inner = document
            .get(4..document.len().saturating_sub(1))
            .unwrap_or_default();
        self.bytes.extend_from_slice(inner);
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Ends the outermost document and gives its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.patch(0);
        self.bytes
    }

    fn name(&mut self, kind: u8, name: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
    }

    /// Writes the length of the document that began at `start`. A BSON length
    /// is an i32; commands are flushed long before that.
    fn patch(&mut self, start: usize) {
        let length = i32::try_from(self.bytes.len() - start).unwrap_or(i32::MAX);
        if let Some(prefix) = self.bytes.get_mut(start..start + 4) {
            prefix.copy_from_slice(&length.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{
        Binary, DateTime, Decimal128, Regex, Timestamp, doc, oid::ObjectId, rawdoc,
        spec::BinarySubtype,
    };

    use super::*;

    fn every_type() -> Vec<u8> {
        let document = doc! {
            "double": 1.5, "string": "x", "document": { "a": 1 }, "array": [1, { "b": 2 }],
            "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
            "undefined": bson::Bson::Undefined, "oid": ObjectId::new(), "bool": true, "date": DateTime::MIN,
            "null": bson::Bson::Null, "regex": bson::Bson::RegularExpression(Regex { pattern: "a".try_into().unwrap(), options: "i".try_into().unwrap() }),
            "code": bson::Bson::JavaScriptCode("f".into()), "symbol": bson::Bson::Symbol("s".into()),
            "scope": bson::Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code: "f".into(), scope: doc! { "x": 1 } }),
            "i32": 7, "timestamp": Timestamp { time: 9, increment: 4 }, "i64": 7_i64,
            "decimal": "1.0".parse::<Decimal128>().unwrap(), "min": bson::Bson::MinKey, "max": bson::Bson::MaxKey,
        };
        document.to_vec().unwrap()
    }

    #[test]
    fn every_type_is_walked_and_rewritten_to_the_same_bytes() {
        let document = every_type();
        let mut writer = Writer::continuing(vec![0; 5]);
        for element in elements(&document).unwrap() {
            let element = element.unwrap();
            writer.value(element.kind, element.name, element.value);
        }
        assert_eq!(writer.finish(), document);
    }

    #[test]
    fn no_cut_or_changed_length_panics() {
        let document = every_type();
        for cut in 0..document.len() {
            if let Ok(walk) = elements(&document[..cut]) {
                walk.for_each(drop);
            }
            for value in [0, 1, 0x7F, 0xFF] {
                let mut changed = document.clone();
                changed[cut] = value;
                if let Ok(walk) = elements(&changed) {
                    walk.for_each(drop);
                }
            }
        }
    }

    #[test]
    fn values_are_read_by_type() {
        let document =
            rawdoc! { "s": "text", "t": Timestamp { time: 5, increment: 6 }, "d": { "x": 1 } };
        let find = |name| find(document.as_bytes(), name).unwrap().unwrap();
        assert_eq!(find("s").as_str(), Some("text"));
        assert_eq!(
            find("t").as_timestamp(),
            Some(crate::model::ClusterTime {
                seconds: 5,
                increment: 6
            })
        );
        assert!(find("d").as_document().is_some() && find("d").as_str().is_none());
    }

    #[test]
    fn nested_documents_are_written_with_their_lengths() {
        let mut writer = Writer::continuing(rawdoc! { "update": "c" }.into_bytes());
        let array = writer.begin(kind::ARRAY, b"updates");
        let first = writer.begin(kind::DOCUMENT, b"0");
        writer.value(kind::INT32, b"x", &7_i32.to_le_bytes());
        writer.end(first);
        writer.end(array);
        assert_eq!(
            writer.finish(),
            rawdoc! { "update": "c", "updates": [{ "x": 7 }] }.into_bytes()
        );
    }
}
