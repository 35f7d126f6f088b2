//! Validation of a document on every level.

use crate::walk::read_length;
use crate::{Element, Malformed, elements, kind, length_of};

/// The maximum nesting of documents and arrays in a stored document: the server's `maxBSONDepth`, less the 20
/// levels that it reserves for itself.
pub const MAX_DEPTH: usize = 180;

/// Checks that `document` is exactly one document by the specification: lengths, final NULs and types on every
/// level, UTF-8 in strings and names, booleans 0 or 1, and at most [`MAX_DEPTH`] nested levels.
///
/// # Errors
///
/// The document breaks one of these rules.
pub fn validate(document: &[u8]) -> Result<(), Malformed> {
    Check { contents: true }.document(document, 0)
}

/// Checks the rules that a server enforces when it stores a document. Unlike [`validate()`], it accepts text
/// that is not UTF-8, and binaries of the old subtype without their second length: old collections hold both.
///
/// # Errors
///
/// The document breaks one of these rules.
pub fn validate_layout(document: &[u8]) -> Result<(), Malformed> {
    Check { contents: false }.document(document, 0)
}

#[derive(Clone, Copy)]
struct Check {
    /// Whether to check the contents that the server does not check.
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
                let tail = value.get(4..).ok_or(Malformed)?;
                let code = read_length(tail)?.checked_add(4).ok_or(Malformed)?;
                let (code, scope) = tail.split_at_checked(code).ok_or(Malformed)?;
                self.string(code)?;
                self.document(scope, depth + 1)
            }
            _ => Ok(()),
        }
    }

    /// A string: the walker has checked its length, which leaves the final NUL and the text.
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

/// Whether the second length, inside a binary of the old subtype, is right.
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
