//! The path at which two documents differ.

use crate::model::raw::{Element, Malformed, elements, find, kind};

/// The first path at which two documents differ, byte for byte; `None` for equal documents. Names of fields and
/// positions of arrays are joined with dots. For fields in another order it is the path of the first of them.
///
/// # Errors
/// `Malformed` for bytes that are no document.
pub(crate) fn first_difference(
    source: &[u8],
    destination: &[u8],
) -> Result<Option<String>, Malformed> {
    if source == destination {
        return Ok(None);
    }
    let (mut ours, mut theirs) = (source, destination);
    let mut path: Vec<String> = Vec::new();
    // A loop and no recursion: the nesting of documents is bounded by their size alone.
    while let Some((one, other)) = differing_elements(ours, theirs)? {
        let is_container = |kind| kind == kind::DOCUMENT || kind == kind::ARRAY;
        match (one, other) {
            (Some(one), Some(other)) if one.name == other.name => {
                path.push(name(&one));
                if one.kind != other.kind || !is_container(one.kind) {
                    break;
                }
                (ours, theirs) = (one.value, other.value);
            }
            (Some(one), Some(other)) => {
                let is_only_theirs = find_name(theirs, &one)? && !find_name(ours, &other)?;
                path.push(name(if is_only_theirs { &other } else { &one }));
                break;
            }
            (Some(only), None) | (None, Some(only)) => {
                path.push(name(&only));
                break;
            }
            (None, None) => break,
        }
    }
    Ok(Some(path.join(".")))
}

/// The elements of a place at which two documents differ. A document that has ended before has none.
type Place<'a> = (Option<Element<'a>>, Option<Element<'a>>);

/// The first place at which two documents differ.
fn differing_elements<'a>(
    source: &'a [u8],
    destination: &'a [u8],
) -> Result<Option<Place<'a>>, Malformed> {
    let (mut ours, mut theirs) = (elements(source)?, elements(destination)?);
    loop {
        let (one, other) = (ours.next().transpose()?, theirs.next().transpose()?);
        match (&one, &other) {
            (None, None) => return Ok(None),
            (Some(one), Some(other)) if one.raw == other.raw => {}
            _ => return Ok(Some((one, other))),
        }
    }
}

fn find_name(document: &[u8], element: &Element<'_>) -> Result<bool, Malformed> {
    match std::str::from_utf8(element.name) {
        Ok(name) => Ok(find(document, name)?.is_some()),
        Err(_not_text) => Ok(false),
    }
}

fn name(element: &Element<'_>) -> String {
    String::from_utf8_lossy(element.name).into_owned()
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn path(source: Document, destination: Document) -> Option<String> {
        let (source, destination) = (source.to_vec().unwrap(), destination.to_vec().unwrap());
        first_difference(&source, &destination).unwrap()
    }

    #[test]
    fn the_first_differing_path_is_named() {
        let source = doc! { "_id": 1, "a": { "b": [1, { "c": 2 }] }, "z": 1 };
        for (destination, expected) in [
            (source.clone(), None),
            (
                doc! { "_id": 1, "a": { "b": [1, { "c": 3 }] }, "z": 2 },
                Some("a.b.1.c"),
            ),
            // Another type of an equal number differs byte for byte.
            (
                doc! { "_id": 1, "a": { "b": [1, { "c": 2_i64 }] }, "z": 1 },
                Some("a.b.1.c"),
            ),
            (doc! { "_id": 1, "a": { "b": [1] }, "z": 1 }, Some("a.b.1")),
            (doc! { "_id": 1, "a": [], "z": 1 }, Some("a")),
            (doc! { "_id": 1, "z": 1 }, Some("a")),
            (
                doc! { "_id": 1, "y": 1, "a": { "b": [1, { "c": 2 }] }, "z": 1 },
                Some("y"),
            ),
            (
                doc! { "_id": 1, "a": { "b": [1, { "c": 2 }] }, "z": 1, "more": 1 },
                Some("more"),
            ),
            (
                doc! { "_id": 1, "z": 1, "a": { "b": [1, { "c": 2 }] } },
                Some("a"),
            ),
            (doc! { "_id": 1.0, "a": 1 }, Some("_id")),
        ] {
            assert_eq!(path(source.clone(), destination).as_deref(), expected);
        }
    }

    #[test]
    fn bytes_that_are_no_document_are_refused() {
        assert_eq!(first_difference(&[5, 0, 0, 0, 0], &[9, 0]), Err(Malformed));
    }
}
