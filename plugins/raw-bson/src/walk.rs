//! Walking the elements of one document, in order, without looking into values.
//!
//! Elements are guaranteed to lie within the document; [`validate`](crate::validate()) checks their contents.

use crate::scan::{find_nul, same};
use crate::{Malformed, Value, kind};

/// An element: its type, its name without the final NUL, and the bytes of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The type, one of [`kind`].
    pub kind: u8,
    /// The name, without its final NUL. UTF-8 is not guaranteed.
    pub name: &'a [u8],
    /// The bytes of the value.
    pub value: &'a [u8],
    /// The whole element as stored: type, name with its NUL, value.
    pub raw: &'a [u8],
}

/// The elements of one document or array, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

/// Walks the elements of `document` (length prefix and final NUL included).
///
/// # Errors
///
/// The document is shorter than its length prefix, or the prefix is invalid. Each element that is malformed is
/// an error of its own, and ends the iteration.
#[inline]
pub fn elements(document: &[u8]) -> Result<Elements<'_>, Malformed> {
    let length = length_of(document)?;
    let inner = document.get(4..length.wrapping_sub(1)).ok_or(Malformed)?;
    Ok(Elements { rest: inner })
}

/// The length in a document's first four bytes.
///
/// # Errors
///
/// The length is less than 5, or more than `bytes` holds.
#[inline]
pub fn length_of(bytes: &[u8]) -> Result<usize, Malformed> {
    let length = read_length(bytes)?;
    if length < 5 || length > bytes.len() {
        Err(Malformed)
    } else {
        Ok(length)
    }
}

/// The first element called `name`, if any.
///
/// # Errors
///
/// The document is malformed before that element.
#[inline]
pub fn find<'a>(document: &'a [u8], name: &str) -> Result<Option<Element<'a>>, Malformed> {
    elements(document)?.find_name(name.as_bytes())
}

/// Concatenated documents, as in a batch of the plugin contract. Malformed bytes end the sequence.
#[derive(Clone, Debug)]
pub struct Sequence<'a> {
    rest: &'a [u8],
}

/// Walks over concatenated documents.
#[inline]
pub fn sequence(documents: &[u8]) -> Sequence<'_> {
    Sequence { rest: documents }
}

impl<'a> Sequence<'a> {
    /// The bytes not yet walked.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Sequence<'a> {
    type Item = Result<&'a [u8], Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = length_of(self.rest)
            .and_then(|length| self.rest.split_at_checked(length).ok_or(Malformed));
        self.rest = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(document, _)| document))
    }
}

/// The documents of a BSON array, as bytes.
///
/// # Errors
///
/// The array is malformed; each element that is not a document is an error of its own.
pub fn documents(
    array: &[u8],
) -> Result<impl Iterator<Item = Result<&[u8], Malformed>>, Malformed> {
    Ok(elements(array)?.map(|element| element?.as_document().ok_or(Malformed)))
}

impl<'a> Element<'a> {
    /// The value without its name.
    #[inline]
    pub fn as_value(&self) -> Value<'a> {
        Value {
            kind: self.kind,
            bytes: self.value,
        }
    }

    /// Whether the element is called `name`.
    #[inline]
    pub fn is_named(&self, name: &[u8]) -> bool {
        same(self.name, name)
    }

    /// The text of a string element.
    pub fn as_str(&self) -> Option<&'a str> {
        self.as_value().as_str()
    }

    /// The bytes of a document element.
    #[inline]
    pub fn as_document(&self) -> Option<&'a [u8]> {
        self.as_value().as_document()
    }

    /// A timestamp element as 64 bits: seconds in the high half, increment in the low half.
    pub fn as_timestamp(&self) -> Option<u64> {
        self.as_value().as_timestamp()
    }

    /// A UUID element (binary subtype 4).
    pub fn as_uuid(&self) -> Option<[u8; 16]> {
        self.as_value().as_uuid()
    }
}

impl<'a> Elements<'a> {
    /// The elements not yet walked, as stored. The difference between two calls is the elements walked in
    /// between.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Walks on to the first element called `name`, if any.
    ///
    /// # Errors
    ///
    /// The document is malformed before that element.
    #[inline]
    pub fn find_name(&mut self, name: &[u8]) -> Result<Option<Element<'a>>, Malformed> {
        for element in self {
            let element = element?;
            if element.is_named(name) {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = split_element(self.rest);
        self.rest = element.map_or(&[], |(_, rest)| rest);
        Some(element.map(|(element, _)| element))
    }
}

#[inline]
fn split_element(bytes: &[u8]) -> Result<(Element<'_>, &[u8]), Malformed> {
    let (&kind, after_kind) = bytes.split_first().ok_or(Malformed)?;
    let name_length = find_nul(after_kind).ok_or(Malformed)?;
    let (name, after_name) = after_kind.split_at_checked(name_length).ok_or(Malformed)?;
    let after_name = after_name.get(1..).ok_or(Malformed)?;
    let (value, rest) = after_name
        .split_at_checked(value_length(kind, after_name)?)
        .ok_or(Malformed)?;
    let raw = bytes
        .get(..bytes.len().wrapping_sub(rest.len()))
        .ok_or(Malformed)?;
    let element = Element {
        kind,
        name,
        value,
        raw,
    };
    Ok((element, rest))
}

/// The encoded size of a value, by its type (bsonspec.org): a fixed size; from [`PREFIXED`] on, the length in
/// its first four bytes plus the difference; or a special case. A table, because a branch by type would
/// dominate the cost of a walk in a plugin.
#[expect(clippy::indexing_slicing, reason = "done by the compiler")]
const SIZES: [u8; 256] = {
    let mut sizes = [UNKNOWN; 256];
    let known = [
        (kind::STRING, PREFIXED + 4),
        (kind::JAVASCRIPT, PREFIXED + 4),
        (kind::SYMBOL, PREFIXED + 4),
        (kind::DOCUMENT, PREFIXED),
        (kind::ARRAY, PREFIXED),
        (kind::SCOPED_JAVASCRIPT, PREFIXED),
        (kind::BINARY, PREFIXED + 5),
        (kind::DB_POINTER, PREFIXED + 16),
        (kind::UNDEFINED, 0),
        (kind::NULL, 0),
        (kind::MIN_KEY, 0),
        (kind::MAX_KEY, 0),
        (kind::BOOLEAN, 1),
        (kind::INT32, 4),
        (kind::DOUBLE, 8),
        (kind::DATE, 8),
        (kind::TIMESTAMP, 8),
        (kind::INT64, 8),
        (kind::OBJECT_ID, 12),
        (kind::DECIMAL128, 16),
        (kind::REGEX, TWO_TEXTS),
    ];
    let mut at = 0;
    while at < known.len() {
        sizes[known[at].0 as usize] = known[at].1;
        at += 1;
    }
    sizes
};
const PREFIXED: u8 = 32;
const TWO_TEXTS: u8 = 64;
const UNKNOWN: u8 = 65;

/// The size of the value of type `kind` at the start of `bytes`.
#[inline]
fn value_length(kind: u8, bytes: &[u8]) -> Result<usize, Malformed> {
    let size = SIZES.get(usize::from(kind)).copied();
    match size.unwrap_or(UNKNOWN) {
        size @ ..PREFIXED => Ok(usize::from(size)),
        size @ PREFIXED..TWO_TEXTS => prefixed(bytes, usize::from(size - PREFIXED)),
        TWO_TEXTS => regex_length(bytes),
        UNKNOWN.. => Err(Malformed),
    }
}

/// A pattern and its options, each with a final NUL.
fn regex_length(bytes: &[u8]) -> Result<usize, Malformed> {
    let pattern = find_nul(bytes).ok_or(Malformed)? + 1;
    let options = find_nul(bytes.get(pattern..).ok_or(Malformed)?).ok_or(Malformed)? + 1;
    Ok(pattern + options)
}

#[inline]
fn prefixed(bytes: &[u8], extra: usize) -> Result<usize, Malformed> {
    read_length(bytes)?.checked_add(extra).ok_or(Malformed)
}

/// The length in the first four bytes.
#[inline]
pub(crate) fn read_length(bytes: &[u8]) -> Result<usize, Malformed> {
    let prefix = bytes.first_chunk().ok_or(Malformed)?;
    usize::try_from(i32::from_le_bytes(*prefix)).map_err(|_negative| Malformed)
}
