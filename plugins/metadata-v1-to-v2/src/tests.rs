//! Documents as hosts of version 1 write them, forward and back.

mod documents;
mod refusals;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use tidegate_plugin_sdk::{
    ConfigFault, Context, Direction, DocumentFailure, Migrate, Output, Plugin, parse,
};

use super::{Config, MetadataV1ToV2};
use documents::{components, namespace, partition, position, session_0_1_0, session_0_1_1};

/// The replacement of a document, in its own collection.
fn migrate(
    direction: Direction,
    collection: &str,
    document: &[u8],
) -> Result<Vec<u8>, DocumentFailure> {
    let context = Context {
        direction,
        session: &[],
        collection,
    };
    let mut output = Output::default();
    MetadataV1ToV2.migrate(&context, document, &mut output)?;
    Ok(std::mem::take(output.collection(collection)))
}

fn forward(collection: &str, document: &[u8]) -> Document {
    let bytes = migrate(Direction::Forward, collection, document).expect(collection);
    RawDocument::from_bytes(&bytes)
        .and_then(Document::try_from)
        .expect("BSON")
}

/// Every document of version 1 that the step processes.
fn all() -> [(&'static str, RawDocumentBuf); 7] {
    [
        ("session", session_0_1_0()),
        ("session", session_0_1_1()),
        ("namespaces", namespace()),
        ("partitions", partition()),
        ("position", position()),
        ("components", components()),
        ("session", without_plugins()),
    ]
}

/// A session of 0.1.1 without plugins: its list exists, and is empty.
fn without_plugins() -> RawDocumentBuf {
    edited(&session_0_1_1(), |session| {
        session.insert("pinned", Bson::Array(Vec::new()));
    })
}

fn edited(document: &RawDocumentBuf, edit: impl FnOnce(&mut Document)) -> RawDocumentBuf {
    let mut document = Document::try_from(&**document).expect("BSON");
    edit(&mut document);
    RawDocumentBuf::try_from(&document).expect("BSON")
}

#[test]
fn a_session_gets_the_fields_of_version_2_and_keeps_the_rest_in_order() {
    let before = Document::try_from(&*session_0_1_1()).expect("BSON");
    let after = forward("session", session_0_1_1().as_bytes());
    let pinned = |slot: &str, name: &str, digest: &str| {
        doc! {
            "slot": slot, "role": "transform", "name": name, "version": "0.1.1", "digest": digest,
            "abi": "1.0.0", "semantics": 1_i64,
        }
    };
    let mut expected = before;
    expected.insert(
        "pinned",
        [
            pinned("plugins[0]", "field-mask", "sha256:aa"),
            pinned("plugins[1]", "field-rename", "sha256:bb"),
        ]
        .map(Bson::Document)
        .to_vec(),
    );
    expected.insert("begunBy", "0.1.1");
    for list in ["features", "upgrades", "swaps"] {
        expected.insert(list, Bson::Array(Vec::new()));
    }
    expected.insert("term", 0_i64);
    // As text, which preserves the order of fields.
    assert_eq!(after.to_string(), expected.to_string());
    let first = after.get_array("pinned").expect("a list")[0].to_string();
    assert!(
        first.starts_with(r#"{ "slot": "plugins[0]", "role": "#),
        "{first}"
    );
}

#[test]
fn a_session_of_0_1_0_gets_an_empty_list_of_components() {
    let after = forward("session", session_0_1_0().as_bytes());
    assert_eq!(after.get_array("pinned").expect("a list").len(), 0);
    assert_eq!(after.get_str("begunBy").expect("text"), "0.1.0");
    assert_eq!(
        after.get_i32("metadataVersion").expect("a number"),
        1,
        "the host's to set"
    );
}

#[test]
fn every_other_document_gets_a_term_at_its_end() {
    for (collection, document) in all() {
        let after = migrate(Direction::Forward, collection, document.as_bytes()).expect(collection);
        if collection != "session" {
            let body = &document.as_bytes()[4..document.as_bytes().len() - 1];
            assert_eq!(after[4..4 + body.len()], *body, "{collection}");
            assert_eq!(after[4 + body.len()..], *b"\x12term\0\0\0\0\0\0\0\0\0\0");
        }
    }
}

#[test]
fn forward_twice_is_forward_once_and_back_gives_the_very_bytes() {
    for (collection, before) in all() {
        let after = migrate(Direction::Forward, collection, before.as_bytes()).expect(collection);
        let again = migrate(Direction::Forward, collection, &after).expect(collection);
        assert_eq!(again, after, "{collection}");
        let back = migrate(Direction::Back, collection, &after).expect(collection);
        assert_eq!(back, before.as_bytes(), "{collection}");
        let again = migrate(Direction::Back, collection, &back).expect(collection);
        assert_eq!(again, back, "{collection}");
    }
}

/// The host sets the version in the same transaction, so the step may see either value.
#[test]
fn the_version_itself_does_not_matter_between_1_and_2() {
    let session = |version: i32| {
        edited(&session_0_1_1(), |session| {
            session.insert("metadataVersion", version);
        })
    };
    let after = migrate(Direction::Forward, "session", session(2).as_bytes()).expect("a session");
    let back = migrate(Direction::Back, "session", &after).expect("a session");
    assert_eq!(back, session(2).as_bytes());
    for version in [0, 3] {
        for direction in [Direction::Forward, Direction::Back] {
            let failure = migrate(direction, "session", session(version).as_bytes());
            assert!(
                matches!(&failure, Err(DocumentFailure::Document(reason)) if reason.contains(&version.to_string())),
                "{failure:?}"
            );
        }
    }
}

#[test]
fn a_component_that_version_2_has_worked_with_goes_back_to_its_place() {
    let after = edited(&session_0_1_1(), |session| {
        let pinned = |slot: &str, role: &str, name: &str, semantics: i64| {
            doc! {
                "slot": slot, "role": role, "name": name, "version": "0.2.0", "digest": name,
                "abi": "1.0.0", "semantics": semantics, "since": bson::Timestamp { time: 7, increment: 1 },
            }
        };
        session.insert(
            "pinned",
            [
                pinned("namespaceFilter", "route", "namespace-filter", 1),
                pinned("plugins[1]", "transform", "second", 4),
                pinned("documentFilter", "transform", "document-filter", 1),
                pinned("plugins[0]", "route", "first", 1),
                pinned("plugins[0]", "transform", "first", 1),
            ]
            .map(Bson::Document)
            .to_vec(),
        );
        session.insert("features", vec!["plugins", "documentFilter"]);
        session.insert(
            "swaps",
            vec![Bson::Document(
                doc! { "slot": "plugins[1]", "recopied": false },
            )],
        );
        session.insert("upgrades", vec![Bson::Document(doc! { "toMetadata": 2 })]);
        session.insert("term", 12_i64);
    });
    let back = migrate(Direction::Back, "session", after.as_bytes()).expect("a session");
    let expected = edited(&session_0_1_1(), |session| {
        let pinned = |name: &str, semantics: i64| doc! { "name": name, "version": "0.2.0", "digest": name, "semantics": semantics };
        let pinned = [pinned("first", 1), pinned("second", 4)].map(Bson::Document);
        session.insert("pinned", pinned.to_vec());
    });
    assert_eq!(back, expected.as_bytes());
}

#[test]
fn there_is_nothing_to_configure() {
    let config = |text| parse::<Config>(text).and_then(MetadataV1ToV2::configure);
    config("{}").expect("nothing");
    let error = config(r#"{"a": 1}"#).expect_err("a field");
    assert_eq!(error.fault, ConfigFault::UnknownField);
    let schema = MetadataV1ToV2::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
