use bson::{Bson, doc};

use super::*;

/// The values that a query on `path` tests, in order; `None` for a missing value.
fn visited(document: &bson::Document, path: &str) -> Vec<Option<Bson>> {
    let document = document.to_vec().unwrap();
    let mut values = Vec::new();
    let matched = any_match(&document, &Path::parse(path).unwrap(), &mut |value| {
        values.push(value.map(|value| {
            let mut writer = crate::Writer::new();
            writer.value(value.kind, b"v", value.bytes);
            let read = bson::Document::from_reader(writer.finish().as_slice()).unwrap();
            read.get("v").unwrap().clone()
        }));
        false
    });
    assert_eq!(matched, Ok(false));
    values
}

#[test]
fn a_path_leads_through_documents_and_arrays_as_in_the_server() {
    let some = |values: &[Bson]| values.iter().cloned().map(Some).collect::<Vec<_>>();
    let array = |values: &[i32]| Bson::Array(values.iter().map(|&v| Bson::Int32(v)).collect());
    let one_two = [1.into(), 2.into(), array(&[1, 2])];
    for (document, path, values) in [
        (doc! { "a": 1 }, "a", some(&[1.into()])),
        (doc! { "a": 1 }, "b", vec![None]),
        (doc! { "a": 1 }, "a.b", vec![None]),
        (doc! { "a": { "b": 1 } }, "a.b", some(&[1.into()])),
        (
            doc! { "a": { "b": 1 } },
            "a",
            some(&[doc! { "b": 1 }.into()]),
        ),
        (doc! { "a": [1, 2] }, "a", some(&one_two)),
        (doc! { "a": { "b": [1, 2] } }, "a.b", some(&one_two)),
        // Documents in an array are entered, arrays in an array are not.
        (
            doc! { "a": [{ "b": 1 }, { "c": 2 }, 3] },
            "a.b",
            vec![Some(1.into()), None],
        ),
        (doc! { "a": [{ "b": [1, 2] }] }, "a.b", some(&one_two)),
        (doc! { "a": [[{ "b": 1 }]] }, "a.b", vec![]),
        (doc! { "a": [1] }, "a.b", vec![]),
        (doc! { "a": [] }, "a.b", vec![]),
        // A number is both a name and a position.
        (doc! { "a": [1, 2] }, "a.1", some(&[2.into()])),
        (doc! { "a": [[1, 2]] }, "a.0", some(&[array(&[1, 2])])),
        (doc! { "a": [[1, 2]] }, "a.0.1", some(&[2.into()])),
        (doc! { "a": [[{ "b": 1 }]] }, "a.0.b", some(&[1.into()])),
        (doc! { "a": { "0": 1 } }, "a.0", some(&[1.into()])),
        (doc! { "a": [1] }, "a.00", vec![]),
        (
            doc! { "a": [{ "0": 1 }] },
            "a.0",
            some(&[1.into(), doc! { "0": 1 }.into()]),
        ),
    ] {
        assert_eq!(visited(&document, path), values, "{document} {path}");
    }
}

#[test]
fn a_visit_that_answers_true_is_the_last() {
    let document = doc! { "a": [1, 2, 3] }.to_vec().unwrap();
    let mut visits = 0;
    let matched = any_match(&document, &Path::parse("a").unwrap(), &mut |value| {
        visits += 1;
        value.and_then(|value| value.as_i32()) == Some(2)
    });
    assert_eq!((matched, visits), (Ok(true), 2));
}

#[test]
fn paths_that_lead_nowhere_are_refused() {
    for text in ["", ".", "a.", ".a", "a..b", "a\0b", &"a.".repeat(200)] {
        assert!(Path::parse(text).is_err(), "{text:?}");
    }
    let path = Path::parse("a.0.b c").unwrap();
    assert_eq!(path.parts(), ["a", "0", "b c"]);
    assert_eq!(path.to_string(), path.as_str());
}
