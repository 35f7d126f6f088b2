//! Documents as hosts of versions 4 and 5 write them, forward and back.

use bson::{RawDocumentBuf, rawdoc};
use tidegate_plugin_sdk::{
    ConfigFault, Context, Direction, DocumentFailure, Migrate, Output, Plugin, parse,
};

use super::{Config, MetadataV4ToV5, SESSION, VERIFICATION, VERIFIED_COLLECTIONS};

fn session(options: RawDocumentBuf) -> RawDocumentBuf {
    rawdoc! {
        "_id": "session", "metadataVersion": 4, "options": options,
        // A field of this name outside of the options is not an option.
        "verification": { "options": 1 }, "term": 7_i64,
    }
}

fn migrate(
    direction: Direction,
    collection: &str,
    document: &[u8],
) -> Result<Vec<u8>, DocumentFailure> {
    let session = session(rawdoc! {});
    let context = Context {
        direction,
        session: session.as_bytes(),
        collection,
    };
    let mut output = Output::default();
    MetadataV4ToV5.migrate(&context, document, &mut output)?;
    for other in MetadataV4ToV5::STEP.collections {
        assert!(*other == collection || output.collection(other).is_empty());
    }
    Ok(std::mem::take(output.collection(collection)))
}

#[test]
fn forward_changes_nothing() {
    let document = session(rawdoc! { "source": "cluster0", "verification": { "enabled": false } });
    for collection in MetadataV4ToV5::STEP.collections {
        let after = migrate(Direction::Forward, collection, document.as_bytes());
        assert_eq!(after.expect(collection), document.as_bytes());
    }
}

#[test]
fn the_way_back_removes_options_and_the_state_of_the_verification() {
    let options = rawdoc! {
        "source": "cluster0", "verification": { "enabled": true },
        "plugins": [{ "config": "{}", "verification": 1 }],
    };
    let before = rawdoc! {
        "source": "cluster0", "plugins": [{ "config": "{}", "verification": 1 }],
    };
    let after = migrate(Direction::Back, SESSION, session(options).as_bytes()).expect("a session");
    assert_eq!(after, session(before).as_bytes());
    let again = migrate(Direction::Back, SESSION, &after).expect("twice");
    assert_eq!(again, after);
    let state = rawdoc! { "_id": "state", "term": 7_i64 };
    for collection in [VERIFICATION, VERIFIED_COLLECTIONS] {
        let removed = migrate(Direction::Back, collection, state.as_bytes()).expect("nothing");
        assert!(removed.is_empty());
    }
}

#[test]
fn bytes_that_are_no_document_are_no_panic() {
    let whole = session(rawdoc! { "a": 1 }).into_bytes();
    for cut in [0, 4, 5, 20, whole.len() - 1] {
        for direction in [Direction::Forward, Direction::Back] {
            for collection in MetadataV4ToV5::STEP.collections {
                let failure =
                    migrate(direction, collection, &whole[..cut]).expect_err("no document");
                assert!(
                    matches!(failure, DocumentFailure::Document(_)),
                    "{failure:?}"
                );
            }
        }
    }
}

#[test]
fn there_is_nothing_to_configure() {
    let config = |text| parse::<Config>(text).and_then(MetadataV4ToV5::configure);
    config("{}").expect("nothing");
    let error = config(r#"{"a": 1}"#).expect_err("a field");
    assert_eq!(error.fault, ConfigFault::UnknownField);
    let schema = MetadataV4ToV5::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}

#[test]
fn a_sync_that_version_4_could_not_cut_over_is_refused() {
    let blocked = |state: &str| {
        let block = rawdoc! { "state": state, "ours": true, "inFlight": false };
        rawdoc! { "_id": "session", "writeBlocks": { "destination": block, "lacking": ["x"] } }
    };
    for (document, reason) in [
        (blocked("blocked"), "it blocks user writes"),
        (blocked("lifting"), "it blocks user writes"),
        (
            rawdoc! { "_id": "session", "commit": {} },
            "it has a commit",
        ),
        (
            rawdoc! { "_id": "session", "relaxAgain": true },
            "a commit was undone",
        ),
        (
            rawdoc! { "_id": "session", "reversals": 1_i64 },
            "it has been reversed",
        ),
    ] {
        match migrate(Direction::Back, SESSION, document.as_bytes()) {
            Err(DocumentFailure::Fatal(text)) => assert!(text.contains(reason), "{text}"),
            other => panic!("{reason}: {other:?}"),
        }
    }
    let back = migrate(Direction::Back, SESSION, blocked("open").as_bytes());
    assert_eq!(
        back.expect("open"),
        rawdoc! { "_id": "session" }.into_bytes()
    );
}
