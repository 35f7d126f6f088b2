//! Walks against a model over the values of the `bson` crate.

use bson::{Bson, Document, doc};
use proptest::prelude::*;

use super::*;
use crate::bson::path::Path;
use crate::bson::validate;

fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![any::<i32>().prop_map(Bson::Int32), Just(Bson::Null)];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Bson::Array),
            document(inner).prop_map(Bson::Document),
        ]
    })
}

fn document(value: impl Strategy<Value = Bson>) -> impl Strategy<Value = Document> {
    prop::collection::vec(("[ab012]", value), 0..5).prop_map(|fields| fields.into_iter().collect())
}

/// The values at the end of a path, by the definition in the module's documentation.
fn model<'v>(fields: &'v Document, parts: &[String], found: &mut Vec<&'v Bson>) {
    for (_, value) in fields.iter().filter(|(name, _)| **name == parts[0]) {
        model_of(value, &parts[1..], found);
    }
}

fn model_of<'v>(value: &'v Bson, parts: &[String], found: &mut Vec<&'v Bson>) {
    match (value, parts.first()) {
        (_, None) => found.push(value),
        (Bson::Document(fields), Some(_)) => model(fields, parts, found),
        (Bson::Array(elements), Some(part)) => match position(part.as_bytes()) {
            Some(at) => {
                if let Some(element) = elements.get(at) {
                    model_of(element, &parts[1..], found);
                }
            }
            None => elements
                .iter()
                .for_each(|element| model_of(element, parts, found)),
        },
        _ => {}
    }
}

fn followed(document: &[u8], paths: &Paths<()>) -> Vec<Bson> {
    let (mut out, mut found) = (Vec::new(), Vec::new());
    let mut walk = Walk::new(document, &mut out);
    let visited = walk.follow(paths, &mut |_walk, place, ()| {
        let raw = place.element;
        let one = doc_of(raw.kind, raw.value);
        found.push(one);
        Ok::<(), WalkError>(())
    });
    assert_eq!((visited, walk.finish()), (Ok(()), false));
    found
}

fn doc_of(kind: u8, value: &[u8]) -> Bson {
    let mut writer = crate::bson::Writer::new();
    writer.value(kind, b"v", value);
    let mut read = Document::from_reader(writer.finish().as_slice()).expect("BSON");
    read.remove("v").expect("a value")
}

fn paths(texts: &[&str]) -> Paths<usize> {
    let parsed: Vec<_> = texts
        .iter()
        .map(|text| Path::parse(text).expect(text))
        .collect();
    Paths::new(parsed.iter().map(Path::parts).zip(0..))
}

/// The index of the path and the number of each visit.
fn visits(document: &Document, texts: &[&str]) -> Vec<(usize, i32)> {
    let bytes = document.to_vec().expect("BSON");
    let (mut out, mut found) = (Vec::new(), Vec::new());
    let mut walk = Walk::new(&bytes, &mut out);
    walk.follow(&paths(texts), &mut |_walk, place, path| {
        found.push((*path, place.element.as_value().as_i32().expect("a number")));
        Ok::<(), WalkError>(())
    })
    .expect("BSON");
    found
}

proptest! {
    #[test]
    fn a_path_leads_where_the_model_says(document in document(value()), path in "[ab012](\\.[ab012]){0,3}") {
        let path = Path::parse(&path).expect("a path");
        let mut expected = Vec::new();
        model(&document, path.parts(), &mut expected);
        let bytes = document.to_vec().expect("BSON");
        let found = followed(&bytes, &Paths::new([(path.parts(), ())]));
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{} of {}", path, document);
    }

    #[test]
    fn removed_fields_are_gone_and_removed_elements_null(
        document in document(value()),
        path in "[ab012](\\.[ab012]){0,3}",
    ) {
        let path = Path::parse(&path).expect("a path");
        let paths = Paths::new([(path.parts(), ())]);
        let bytes = document.to_vec().expect("BSON");
        let mut out = Vec::new();
        let mut walk = Walk::new(&bytes, &mut out);
        walk.follow(&paths, &mut |walk, place, ()| {
            walk.remove(&place);
            Ok::<(), WalkError>(())
        }).expect("BSON");
        let changed = walk.finish();
        let after = if changed { &out } else { &bytes };
        prop_assert_eq!(validate(after), Ok(()));
        prop_assert!(followed(after, &paths).iter().all(|value| *value == Bson::Null));
    }
}

#[test]
fn of_two_paths_to_one_element_the_position_takes_it() {
    let list = doc! { "a": [{ "b": 1, "c": 2 }, { "b": 3, "c": 4 }] };
    for (texts, expected) in [
        (&["a.b", "a.0.b"][..], &[(1, 1), (0, 3)][..]),
        (&["a.0.b", "a.b"], &[(0, 1), (1, 3)]),
        (&["a.b", "a.1.c"], &[(0, 1), (0, 3), (1, 4)]),
        (&["a.00.b"], &[]),
        (&["a.b", "a.c"], &[(0, 1), (1, 2), (0, 3), (1, 4)]),
    ] {
        assert_eq!(visits(&list, texts), expected, "{texts:?}");
    }
}

#[test]
fn deep_nesting_and_other_bytes_are_errors() {
    let path = Path::parse(&["a"; 100].join(".")).expect("a path");
    let paths = Paths::new([(path.parts(), ())]);
    let mut nested = Bson::Int32(1);
    for level in 0..200 {
        nested = if level % 2 == 0 {
            Bson::Array(vec![nested])
        } else {
            doc! { "a": nested }.into()
        };
    }
    let bytes = doc! { "a": nested }.to_vec().expect("BSON");
    let walked = |bytes: &[u8]| {
        let mut out = Vec::new();
        Walk::new(bytes, &mut out).follow(&paths, &mut |_walk, _place, ()| Ok::<(), WalkError>(()))
    };
    assert_eq!(walked(&bytes), Err(WalkError::TooDeep));
    assert_eq!(walked(&bytes[..7]), Err(WalkError::Malformed));
}
