//! Properties of every document: bytes outside of the rules stay, and answers repeat.

use bson::{Bson, DateTime, Document, oid::ObjectId};
use proptest::prelude::*;
use tidegate_plugin_sdk::bson::{elements, validate};
use tidegate_plugin_sdk::{DocumentFailure, Outcome};

use super::{run, with_rules};

const RULES: &str = r#"[
    {"rename": {"from": "a.b", "to": "longer", "ifExists": "replace"}},
    {"convert": {"path": "b", "to": "string", "onError": "drop"}},
    {"move": {"from": "a.c", "to": "e.f", "ifExists": "replace"}},
    {"copy": {"from": "_id", "to": "g.h", "ifExists": "keep"}}
]"#;

/// Values of all shapes with few names, so that rules often apply.
fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        any::<i64>().prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        "\\PC{0,12}".prop_map(Bson::String),
        Just(Bson::Null),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Bson::Array),
            document(inner).prop_map(Bson::Document),
        ]
    })
}

fn document(value: impl Strategy<Value = Bson>) -> impl Strategy<Value = Document> {
    prop::collection::vec(("[a-d01]|_id|longer", value), 0..6)
        .prop_map(|fields| fields.into_iter().collect())
}

/// The stored bytes of the top-level elements that no rule concerns.
fn untouched(document: &[u8]) -> Vec<&[u8]> {
    elements(document)
        .expect("BSON")
        .map(|element| element.expect("BSON"))
        .filter(|element| !matches!(element.name, b"a" | b"b" | b"e" | b"g"))
        .map(|element| element.raw)
        .collect()
}

proptest! {
    #[test]
    fn fields_without_a_rule_stay_unchanged(document in document(value())) {
        let plugin = with_rules(RULES);
        let before = document.to_vec().expect("BSON");
        let outcome = run(&plugin, &before);
        prop_assert_eq!(&run(&plugin, &before), &outcome);
        match outcome {
            Ok(Outcome::Replace(after)) => {
                prop_assert_eq!(validate(&after), Ok(()));
                prop_assert_eq!(untouched(&before), untouched(&after));
                prop_assert_ne!(before, after);
            }
            Ok(outcome) => prop_assert_eq!(outcome, Outcome::Keep),
            Err(DocumentFailure::Document(reason)) => {
                prop_assert!(reason.contains("array is on the way"), "{}", reason);
            }
            Err(failure) => prop_assert!(false, "{:?}", failure),
        }
    }

    #[test]
    fn a_document_without_the_paths_is_kept(document in document(value())) {
        let plugin = with_rules(
            r#"[{"rename": {"from": "x", "to": "y"}}, {"move": {"from": "x.y", "to": "y"}},
                {"convert": {"path": "a.x.b", "to": "int"}}]"#,
        );
        let bytes = document.to_vec().expect("BSON");
        prop_assert_eq!(run(&plugin, &bytes), Ok(Outcome::Keep));
    }
}
