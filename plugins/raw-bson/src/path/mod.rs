//! Dotted paths, and the values that a query on one tests.
//!
//! The traversal is the server's own (`src/mongo/db/matcher/path.cpp`): through
//! documents by name, and through an array both into each element that is a
//! document and, by a numeric part, into the element at that position.

use std::fmt;

use crate::scan::same;
use crate::{Malformed, Value, elements, find, kind};

/// The most parts a path can have; documents nest no deeper.
const MAX_PARTS: usize = 180;

/// A dotted path, as in `address.lines.0.text`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    text: String,
    parts: Vec<String>,
}

impl Path {
    /// Parses a path. The error is one sentence that says what is wrong with it.
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

    /// The path with its dots.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parts, of which there is at least one and none is empty.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Calls `visit` with each value that a query on `path` tests, until it answers
/// true; says whether it did.
///
/// The last part's value itself is visited and, when it is an array, each of its
/// elements before it. `None` stands for a path that leads nowhere: once for the
/// document as a whole, or once for each document in an array on the way. An
/// array on the way without anything to follow is not visited at all: `{a: []}`
/// and `{a: [1]}` have no values, and no missing ones, at `a.b`.
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
    let Some((next, behind)) = rest.split_first() else {
        return each_and_all(array, visit);
    };
    for element in elements(array)? {
        let element = element?;
        if element.kind == kind::DOCUMENT && in_document(element.value, rest, visit)? {
            return Ok(true);
        }
        let found = same(element.name, next.as_bytes())
            && match element.kind {
                // A position at the end leads to the element itself: no step into it.
                _ if behind.is_empty() => visit(Some(element.as_value())),
                kind::DOCUMENT => in_document(element.value, behind, visit)?,
                kind::ARRAY => in_array(element.value, behind, visit)?,
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
