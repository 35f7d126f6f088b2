//! MongoDB's order of values across all types: the order of sorts, indexes and comparison operators without a
//! collation.
//!
//! The manual calls it the BSON comparison order; details that it leaves open follow the server's
//! `BSONElement::compareElements`. Values of different types are ordered by [`canonical_type`], which is the
//! same for all numbers, and for strings and symbols. Arrays are compared as wholes, as in an embedded
//! document; queries and sorts that look into an array use [`path`](crate::path).

mod decimal;
mod number;

use std::cmp::Ordering;

use crate::scan::{find_nul, order};
use crate::walk::read_length;
use crate::{Malformed, Value, elements, kind};

/// Limits recursion. The server accepts no deeper documents over the wire.
const DEPTH_LIMIT: usize = 200;

/// Compares two values.
///
/// # Errors
///
/// A value is malformed, nests too deeply, or has an unknown type.
pub fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Malformed> {
    compare_values(left, right, DEPTH_LIMIT)
}

/// The position of a type in the order of types. Types with the same position are compared by value. The
/// numbers are the server's, except for MinKey and undefined, which are -1 and 0 there.
pub fn canonical_type(kind: u8) -> u8 {
    match kind {
        kind::MIN_KEY => 0,
        kind::UNDEFINED => 1,
        kind::NULL => 5,
        kind::DOUBLE | kind::INT32 | kind::INT64 | kind::DECIMAL128 => 10,
        kind::STRING | kind::SYMBOL => 15,
        kind::DOCUMENT => 20,
        kind::ARRAY => 25,
        kind::BINARY => 30,
        kind::OBJECT_ID => 35,
        kind::BOOLEAN => 40,
        kind::DATE => 45,
        kind::TIMESTAMP => 47,
        kind::REGEX => 50,
        kind::DB_POINTER => 55,
        kind::JAVASCRIPT => 60,
        kind::SCOPED_JAVASCRIPT => 65,
        kind::MAX_KEY => 127,
        _ => u8::MAX,
    }
}

fn compare_values(left: Value<'_>, right: Value<'_>, depth: usize) -> Result<Ordering, Malformed> {
    let by_type = canonical_type(left.kind).cmp(&canonical_type(right.kind));
    if by_type.is_ne() {
        return Ok(by_type);
    }
    let (l, r) = (left.bytes, right.bytes);
    Ok(match left.kind {
        kind::DOUBLE | kind::INT32 | kind::INT64 | kind::DECIMAL128 => {
            number::compare(left, right)?
        }
        kind::STRING | kind::SYMBOL | kind::JAVASCRIPT => order(text(l)?, text(r)?),
        kind::DOCUMENT => compare_documents(l, r, Names::Count, depth)?,
        kind::ARRAY => compare_documents(l, r, Names::Ignored, depth)?,
        // The rest begins with the subtype.
        kind::BINARY => by_length(l, r).then_with(|| order(after_prefix(l), after_prefix(r))),
        kind::OBJECT_ID | kind::BOOLEAN => order(l, r),
        kind::DATE => i64::from_le_bytes(array(l)?).cmp(&i64::from_le_bytes(array(r)?)),
        kind::TIMESTAMP => u64::from_le_bytes(array(l)?).cmp(&u64::from_le_bytes(array(r)?)),
        kind::REGEX => regex(l)?.cmp(&regex(r)?),
        kind::DB_POINTER => by_length(l, r).then_with(|| order(l, r)),
        kind::SCOPED_JAVASCRIPT => {
            let ((code, scope), (other, other_scope)) = (scoped(l)?, scoped(r)?);
            match order(text(code)?, text(other)?) {
                Ordering::Equal => compare_documents(scope, other_scope, Names::Count, depth)?,
                unequal => unequal,
            }
        }
        kind::UNDEFINED | kind::NULL | kind::MIN_KEY | kind::MAX_KEY => Ordering::Equal,
        _ => return Err(Malformed),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Count,
    Ignored,
}

/// Compares element by element: type, name (where names count), value.
fn compare_documents(
    left: &[u8],
    right: &[u8],
    names: Names,
    depth: usize,
) -> Result<Ordering, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let (mut left, mut right) = (elements(left)?, elements(right)?);
    loop {
        let (l, r) = match (left.next(), right.next()) {
            (None, None) => return Ok(Ordering::Equal),
            (None, Some(_)) => return Ok(Ordering::Less),
            (Some(_), None) => return Ok(Ordering::Greater),
            (Some(l), Some(r)) => (l?, r?),
        };
        let by_type = canonical_type(l.kind).cmp(&canonical_type(r.kind));
        let by_name = match names {
            Names::Count => order(l.name, r.name),
            Names::Ignored => Ordering::Equal,
        };
        let unequal = match by_type.then(by_name) {
            Ordering::Equal => compare_values(l.as_value(), r.as_value(), depth)?,
            unequal => unequal,
        };
        if unequal.is_ne() {
            return Ok(unequal);
        }
    }
}

/// The text of a string, without its length and final NUL.
fn text(string: &[u8]) -> Result<&[u8], Malformed> {
    string.get(4..string.len().wrapping_sub(1)).ok_or(Malformed)
}

/// Pattern and options.
fn regex(value: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (pattern, tail) = value
        .split_at_checked(find_nul(value).ok_or(Malformed)?)
        .ok_or(Malformed)?;
    Ok((pattern, tail))
}

/// The code, as a string, and its scope, as a document.
fn scoped(value: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let tail = value.get(4..).ok_or(Malformed)?;
    let code = read_length(tail)?.checked_add(4).ok_or(Malformed)?;
    tail.split_at_checked(code).ok_or(Malformed)
}

/// The bytes after a length prefix.
fn after_prefix(value: &[u8]) -> &[u8] {
    value.get(4..).unwrap_or_default()
}

fn by_length(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len())
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_length| Malformed)
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
