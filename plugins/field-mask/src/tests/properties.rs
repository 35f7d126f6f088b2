//! Properties of every document: bytes outside of the rules stay, and answers repeat.

use bson::{Bson, DateTime, Document, oid::ObjectId};
use proptest::prelude::*;
use tidegate_plugin_sdk::Verdict;
use tidegate_plugin_sdk::bson::{elements, validate};

use super::{run, with_rules};

const RULES: &str = r#"[
    {"path": "a", "action": "keepLast", "count": 2, "otherwise": "drop"},
    {"path": "b.a", "action": "hash", "otherwise": "null"},
    {"path": "b.1", "action": "drop"},
    {"path": "b.c.0.a", "action": "set", "value": {"x": [1]}},
    {"path": "c", "action": "truncateDate", "to": "day", "otherwise": "keep"},
    {"path": "d.a.b", "action": "drop"}
]"#;

/// Values of all shapes with few names, so that rules often apply.
fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        any::<bool>().prop_map(Bson::Boolean),
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
    prop::collection::vec(("[a-d01]|_id", value), 0..5)
        .prop_map(|fields| fields.into_iter().collect())
}

/// The names and stored bytes of the top-level elements.
fn fields(document: &[u8]) -> Vec<(&[u8], &[u8])> {
    elements(document)
        .expect("BSON")
        .map(|element| element.expect("BSON"))
        .map(|element| (element.name, element.raw))
        .collect()
}

fn find<'a>(fields: &[(&[u8], &'a [u8])], name: &[u8]) -> Option<&'a [u8]> {
    fields
        .iter()
        .find_map(|(known, raw)| (*known == name).then_some(*raw))
}

proptest! {
    #[test]
    fn fields_without_a_rule_stay_unchanged(document in document(value())) {
        let plugin = with_rules(RULES);
        let before = document.to_vec().expect("BSON");
        let (verdict, after) = run(&plugin, &before).expect("no rule fails");
        prop_assert_eq!(run(&plugin, &before), Ok((verdict, after.clone())));
        if verdict == Verdict::Keep {
            prop_assert!(after.is_empty());
            return Ok(());
        }
        prop_assert_eq!(validate(&after), Ok(()));
        prop_assert_ne!(&after, &before);
        let (before, after) = (fields(&before), fields(&after));
        for name in [&b"_id"[..], b"0", b"1"] {
            prop_assert_eq!(find(&before, name), find(&after, name));
        }
        let is_left = |name: &&[u8]| find(&after, name).is_some();
        let names = before.iter().map(|(name, _)| *name).filter(is_left);
        prop_assert!(names.eq(after.iter().map(|(name, _)| *name)));
        prop_assert!(before.len() - after.len() <= 1, "only `a` can be dropped");
    }

    #[test]
    fn a_document_without_the_paths_is_kept(document in document(value())) {
        let plugin = with_rules(r#"[{"path": "x", "action": "drop"}, {"path": "a.x.b", "action": "drop"}]"#);
        let bytes = document.to_vec().expect("BSON");
        prop_assert_eq!(run(&plugin, &bytes), Ok((Verdict::Keep, Vec::new())));
    }
}
