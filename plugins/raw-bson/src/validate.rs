//! Whether bytes are one well-formed document, on every level.

use crate::walk::read_length;
use crate::{Element, Malformed, elements, kind, length_of};

/// How many levels of documents and arrays a server lets be stored in a document:
/// its `maxBSONDepth`, less the 20 that it keeps for itself.
pub const MAX_DEPTH: usize = 180;

/// Checks that `document` is exactly one document as the specification has it:
/// lengths, final NULs and types on every level, strings and names in UTF-8,
/// booleans 0 or 1, and no more than [`MAX_DEPTH`] levels inside.
pub fn validate(document: &[u8]) -> Result<(), Malformed> {
    Check { contents: true }.document(document, 0)
}

/// Checks what a server does before it stores a document. It takes text that is
/// not UTF-8, and binaries of the old subtype without their second length, and
/// old collections hold such; all else is as with [`validate()`].
pub fn validate_layout(document: &[u8]) -> Result<(), Malformed> {
    Check { contents: false }.document(document, 0)
}

#[derive(Clone, Copy)]
struct Check {
    /// Whether what the server does not look into is checked, too.
    contents: bool,
}

impl Check {
    fn document(self, document: &[u8], depth: usize) -> Result<(), Malformed> {
        let framed = length_of(document)? == document.len() && document.last() == Some(&0);
        ensure(framed && depth <= MAX_DEPTH)?;
        for element in elements(document)? {
            let element = element?;
            self.text(element.name)?;
            self.value(&element, depth)?;
        }
        Ok(())
    }

    fn value(self, element: &Element<'_>, depth: usize) -> Result<(), Malformed> {
        let value = element.value;
        match element.kind {
            kind::DOCUMENT | kind::ARRAY => self.document(value, depth + 1),
            kind::STRING | kind::JAVASCRIPT | kind::SYMBOL => self.string(value),
            kind::BOOLEAN => ensure(matches!(value, [0 | 1])),
            kind::BINARY => ensure(!self.contents || is_binary(value)),
            kind::REGEX => self.text(value),
            kind::DB_POINTER => {
                let text = value.len().checked_sub(12).ok_or(Malformed)?;
                self.string(value.get(..text).ok_or(Malformed)?)
            }
            kind::SCOPED_JAVASCRIPT => {
                let behind = value.get(4..).ok_or(Malformed)?;
                let code = read_length(behind)?.checked_add(4).ok_or(Malformed)?;
                let (code, scope) = behind.split_at_checked(code).ok_or(Malformed)?;
                self.string(code)?;
                self.document(scope, depth + 1)
            }
            _ => Ok(()),
        }
    }

    /// A string with its length, which the walker has gone by, and its NUL.
    fn string(self, value: &[u8]) -> Result<(), Malformed> {
        let (&last, text) = value
            .get(4..)
            .and_then(<[u8]>::split_last)
            .ok_or(Malformed)?;
        ensure(last == 0)?;
        self.text(text)
    }

    fn text(self, text: &[u8]) -> Result<(), Malformed> {
        ensure(!self.contents || std::str::from_utf8(text).is_ok())
    }
}

/// The old binary subtype has a second length inside.
fn is_binary(value: &[u8]) -> bool {
    match value.get(4..).and_then(<[u8]>::split_first) {
        Some((2, bytes)) => read_length(bytes).is_ok_and(|inner| inner + 4 == bytes.len()),
        Some(_) => true,
        None => false,
    }
}

fn ensure(holds: bool) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed) }
}
