//! Dotted paths, and the values that a query on a path tests.
//!
//! The traversal follows the server (`src/mongo/db/matcher/path.cpp`): through documents by name; through an
//! array into each element that is a document and, for a numeric part, into the element at that position.

use std::fmt;

use crate::scan::same;
use crate::{Malformed, Value, elements, find, kind};

/// The maximum number of parts of a path, equal to the maximum nesting of documents.
const MAX_PARTS: usize = 180;

/// A dotted path, as in `address.lines.0.text`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    text: String,
    parts: Vec<String>,
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    ///
    /// One sentence that states the fault: an empty part, a NUL, or too many parts.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if text.is_empty() {
            Err("a path has at least one part".to_owned())
        } else if parts.iter().any(String::is_empty) {
            Err(format!("the path `{text}` has an empty part"))
        } else if text.contains('\0') {
            Err("a path cannot hold a NUL character".to_owned())
        } else if parts.len() > MAX_PARTS {
            Err(format!("a path has at most {MAX_PARTS} parts"))
        } else {
            Ok(Self {
                text: text.to_owned(),
                parts,
            })
        }
    }

    /// The dotted text of the path.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parts. Invariant: there is at least one, and none is empty.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Calls `visit` with each value that a query on `path` tests, until `visit` returns true. Returns whether it
/// did.
///
/// If the last part leads to an array, each element is visited, then the array itself. `None` is a missing
/// value: once for the document as a whole, or once for each document in an array on the path. An array on the
/// path in which no part applies is not visited at all: `{a: []}` and `{a: [1]}` have neither values nor
/// missing values at `a.b`.
///
/// # Errors
///
/// The document is malformed on the way.
pub fn any_match(
    document: &[u8],
    path: &Path,
    visit: &mut impl FnMut(Option<Value<'_>>) -> bool,
) -> Result<bool, Malformed> {
    in_document(document, &path.parts, visit)
}

#[inline]
fn in_document(
    document: &[u8],
    parts: &[String],
    visit: &mut impl FnMut(Option<Value<'_>>) -> bool,
) -> Result<bool, Malformed> {
    let mut document = document;
    let mut parts = parts.iter();
    while let Some(part) = parts.next() {
        let Some(element) = find(document, part)? else {
            return Ok(visit(None));
        };
        let rest = parts.as_slice();
        match element.kind {
            kind::ARRAY => return in_array(element.value, rest, visit),
            _ if rest.is_empty() => return Ok(visit(Some(element.as_value()))),
            kind::DOCUMENT => document = element.value,
            _ => return Ok(visit(None)),
        }
    }
    Ok(false)
}

/// Follows `rest`, which may be empty, from an array.
fn in_array(
    array: &[u8],
    rest: &[String],
    visit: &mut impl FnMut(Option<Value<'_>>) -> bool,
) -> Result<bool, Malformed> {
    let Some((next, tail)) = rest.split_first() else {
        return each_and_all(array, visit);
    };
    for element in elements(array)? {
        let element = element?;
        if element.kind == kind::DOCUMENT && in_document(element.value, rest, visit)? {
            return Ok(true);
        }
        let found = same(element.name, next.as_bytes())
            && match element.kind {
                // A final position leads to the element itself, not into it.
                _ if tail.is_empty() => visit(Some(element.as_value())),
                kind::DOCUMENT => in_document(element.value, tail, visit)?,
                kind::ARRAY => in_array(element.value, tail, visit)?,
                _ => false,
            };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn each_and_all(
    array: &[u8],
    visit: &mut impl FnMut(Option<Value<'_>>) -> bool,
) -> Result<bool, Malformed> {
    for element in elements(array)? {
        if visit(Some(element?.as_value())) {
            return Ok(true);
        }
    }
    Ok(visit(Some(Value {
        kind: kind::ARRAY,
        bytes: array,
    })))
}

#[cfg(test)]
mod tests;
