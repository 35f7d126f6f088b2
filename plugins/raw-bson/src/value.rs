//! Values without their names, read by type.

use crate::kind;
use crate::scan::same;

/// A value: its type and stored bytes. Equality is that of the bytes; for the server's equality see
/// [`compare`](crate::compare::compare).
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// The type, one of [`kind`].
    pub kind: u8,
    /// The stored bytes.
    pub bytes: &'a [u8],
}

impl PartialEq for Value<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && same(self.bytes, other.bytes)
    }
}

impl Eq for Value<'_> {}

impl<'a> Value<'a> {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.as_text(kind::STRING)?).ok()
    }

    /// The text of a string as bytes. The server does not enforce UTF-8.
    pub fn as_string_bytes(&self) -> Option<&'a [u8]> {
        self.as_text(kind::STRING)
    }

    /// The bytes of a document.
    #[inline]
    pub fn as_document(&self) -> Option<&'a [u8]> {
        (self.kind == kind::DOCUMENT).then_some(self.bytes)
    }

    /// The bytes of an array: a document whose names are positions.
    #[inline]
    pub fn as_array(&self) -> Option<&'a [u8]> {
        (self.kind == kind::ARRAY).then_some(self.bytes)
    }

    /// A 32-bit integer.
    pub fn as_i32(&self) -> Option<i32> {
        self.fixed(kind::INT32).map(i32::from_le_bytes)
    }

    /// A 64-bit integer.
    pub fn as_i64(&self) -> Option<i64> {
        self.fixed(kind::INT64).map(i64::from_le_bytes)
    }

    /// A double.
    pub fn as_f64(&self) -> Option<f64> {
        self.fixed(kind::DOUBLE).map(f64::from_le_bytes)
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        self.fixed(kind::BOOLEAN).map(|[byte]| byte != 0)
    }

    /// A date in milliseconds since 1970, negative before.
    pub fn as_date(&self) -> Option<i64> {
        self.fixed(kind::DATE).map(i64::from_le_bytes)
    }

    /// A timestamp as 64 bits: seconds in the high half, increment in the low half.
    pub fn as_timestamp(&self) -> Option<u64> {
        self.fixed(kind::TIMESTAMP).map(u64::from_le_bytes)
    }

    /// A UUID (binary subtype 4).
    pub fn as_uuid(&self) -> Option<[u8; 16]> {
        let (subtype, bytes) = self.as_binary()?;
        bytes.try_into().ok().filter(|_| subtype == 4)
    }

    /// A binary's subtype and bytes.
    pub fn as_binary(&self) -> Option<(u8, &'a [u8])> {
        let (&subtype, bytes) = self.bytes.get(4..)?.split_first()?;
        (self.kind == kind::BINARY).then_some((subtype, bytes))
    }

    /// The text of a type that is encoded like a string.
    pub(crate) fn as_text(&self, kind: u8) -> Option<&'a [u8]> {
        let text = self.bytes.get(4..self.bytes.len().checked_sub(1)?)?;
        (self.kind == kind).then_some(text)
    }

    fn fixed<const N: usize>(&self, kind: u8) -> Option<[u8; N]> {
        let bytes = self.bytes.try_into().ok()?;
        (self.kind == kind).then_some(bytes)
    }
}
