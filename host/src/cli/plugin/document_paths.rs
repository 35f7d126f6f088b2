//! The paths at which two documents differ.

use crate::model::raw::{Element, Malformed, elements, kind};

/// Deeper levels are compared as a whole.
const DEEPEST: usize = 100;

/// All paths at which two documents differ, byte for byte: names of fields and positions of arrays, joined with dots.
/// Fields in another order are told as such.
pub(super) fn paths(old: &[u8], new: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if collect("", 0, old, new, &mut found).is_err() {
        found.push("the document as a whole".to_owned());
    }
    found
}

fn collect(
    prefix: &str,
    depth: usize,
    old: &[u8],
    new: &[u8],
    found: &mut Vec<String>,
) -> Result<(), Malformed> {
    let read = |document| elements(document)?.collect::<Result<Vec<Element<'_>>, _>>();
    let (ours, theirs) = (read(old)?, read(new)?);
    let before = found.len();
    for (position, one) in ours.iter().enumerate() {
        let path = join(prefix, one);
        match same_name(one, position, &theirs) {
            None => found.push(path),
            Some(other) if one.raw == other.raw => {}
            Some(other) if is_container(one, other) && depth < DEEPEST => {
                collect(&path, depth + 1, one.value, other.value, found)?;
            }
            Some(_) => found.push(path),
        }
    }
    for (position, other) in theirs.iter().enumerate() {
        if same_name(other, position, &ours).is_none() {
            found.push(join(prefix, other));
        }
    }
    if found.len() == before && old != new {
        let place = if prefix.is_empty() { "" } else { " of " };
        found.push(format!("order of fields{place}{prefix}"));
    }
    Ok(())
}

/// The field of the same name, which is usually at the same position.
fn same_name<'a, 'b>(
    element: &Element<'_>,
    position: usize,
    others: &'b [Element<'a>],
) -> Option<&'b Element<'a>> {
    let near = others.get(position);
    let near = near.filter(|other| other.name == element.name);
    near.or_else(|| others.iter().find(|other| other.name == element.name))
}

fn is_container(one: &Element<'_>, other: &Element<'_>) -> bool {
    one.kind == other.kind && (one.kind == kind::DOCUMENT || one.kind == kind::ARRAY)
}

fn join(prefix: &str, element: &Element<'_>) -> String {
    let name = String::from_utf8_lossy(element.name);
    let dot = if prefix.is_empty() { "" } else { "." };
    format!("{prefix}{dot}{name}")
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};

    use super::*;

    fn of(old: &RawDocumentBuf, new: &RawDocumentBuf) -> Vec<String> {
        paths(old.as_bytes(), new.as_bytes())
    }

    #[test]
    fn every_path_that_differs_is_named() {
        let old =
            rawdoc! { "_id": 1, "a": { "b": [1, { "c": 2 }], "same": 1 }, "gone": 1, "type": 1 };
        let new = rawdoc! { "_id": 1, "a": { "b": [1, { "c": 3 }, 4], "same": 1 }, "type": 1_i64, "came": 1 };
        let expected = ["a.b.1.c", "a.b.2", "gone", "type", "came"];
        assert_eq!(of(&old, &new), expected);
        assert!(of(&old, &old).is_empty());
    }

    #[test]
    fn another_order_is_a_difference() {
        let old = rawdoc! { "_id": 1, "a": { "b": 1, "c": 2 } };
        let new = rawdoc! { "_id": 1, "a": { "c": 2, "b": 1 } };
        assert_eq!(of(&old, &new), ["order of fields of a"]);
        assert_eq!(
            paths(b"no BSON", old.as_bytes()),
            ["the document as a whole"]
        );
    }

    #[test]
    fn levels_beyond_the_deepest_are_one_value() {
        let nested = |leaf: i32| {
            let start = rawdoc! { "leaf": leaf };
            (0..DEEPEST + 50).fold(start, |inner, _| rawdoc! { "n": inner })
        };
        let found = of(&nested(1), &nested(2));
        assert_eq!(found, [vec!["n"; DEEPEST + 1].join(".")]);
    }
}
