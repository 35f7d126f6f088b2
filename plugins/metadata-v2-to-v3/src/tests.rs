//! Documents as hosts of versions 2 and 3 write them, forward and back.

use bson::{RawDocument, RawDocumentBuf, Timestamp, rawdoc};
use tidegate_plugin_sdk::{
    ConfigFault, Context, Direction, DocumentFailure, Migrate, Output, Plugin, parse,
};

use super::{
    COPY_PARTITIONS, Config, INTENTS, MetadataV2ToV3, PARTITIONS, POSITION, STREAM_POSITION,
};

type Documents = (String, Vec<u8>);

/// The documents that replace one document, with their collection.
fn migrate(
    direction: Direction,
    collection: &str,
    document: &[u8],
) -> Result<Documents, DocumentFailure> {
    let context = Context {
        direction,
        session: &[],
        collection,
    };
    let mut output = Output::default();
    MetadataV2ToV3.migrate(&context, document, &mut output)?;
    let of = |name: &&str| Some((*name).to_owned()).zip(non_empty(&mut output, name));
    let mut all: Vec<Documents> = MetadataV2ToV3::STEP
        .collections
        .iter()
        .filter_map(of)
        .collect();
    assert_eq!(all.len(), 1, "{collection}");
    Ok(all.remove(0))
}

fn non_empty(output: &mut Output, collection: &str) -> Option<Vec<u8>> {
    let bytes = std::mem::take(output.collection(collection));
    (!bytes.is_empty()).then_some(bytes)
}

fn forward(collection: &str, document: &RawDocumentBuf) -> Documents {
    migrate(Direction::Forward, collection, document.as_bytes()).expect(collection)
}

fn back(collection: &str, document: &[u8]) -> Documents {
    migrate(Direction::Back, collection, document).expect(collection)
}

fn time(seconds: u32) -> Timestamp {
    Timestamp {
        time: seconds,
        increment: 1,
    }
}

fn position() -> RawDocumentBuf {
    rawdoc! {
        "_id": "position",
        "resumeToken": { "_data": "826553F5A1000000032B" },
        "clusterTime": time(0x6553_F5A1),
        "exactAfter": time(0x6553_F5A0),
        "eventsApplied": 12_i64,
        "clean": false,
        "copied": { "documents": 3_i64, "bytes": 300_i64 },
        "fromSomewhere": "x",
        "term": 7_i64,
    }
}

fn done(done: bool) -> RawDocumentBuf {
    rawdoc! {
        "_id": "000102030405060708090a0b0c0dfeff:3",
        "namespaceId": "000102030405060708090a0b0c0dfeff",
        // A user's value: the fields inside it are not metadata.
        "lower": { "_id": { "begun": "winter", "suspect": true } },
        "lastId": { "_id": 12 },
        "documents": 3_i64,
        "bytes": 300_i64,
        "done": done,
        "fromSomewhere": 1,
        "term": 7_i64,
    }
}

fn not_reached() -> RawDocumentBuf {
    rawdoc! {
        "_id": "0001:4", "namespaceId": "0001", "documents": 0_i64, "bytes": 0_i64, "done": false,
        "term": 1_i64,
    }
}

fn intent(state: &str) -> RawDocumentBuf {
    rawdoc! {
        "_id": "7:3", "what": "rename", "token": { "_data": "82" }, "clusterTime": time(1),
        "source": { "database": "app", "collection": "users" },
        "destination": { "database": "to", "collection": "users" },
        "state": state, "term": 7_i64,
    }
}

fn with(document: &RawDocumentBuf, add: impl FnOnce(&mut RawDocumentBuf)) -> RawDocumentBuf {
    let mut document = document.clone();
    add(&mut document);
    document
}

fn with_flag(document: &RawDocumentBuf, name: &str, value: bool) -> RawDocumentBuf {
    with(document, |document| {
        document.append(bson::raw::CString::try_from(name).expect("a name"), value);
    })
}

#[test]
fn the_position_moves_unchanged() {
    let moved = (STREAM_POSITION.to_owned(), position().into_bytes());
    assert_eq!(forward(POSITION, &position()), moved);
}

#[test]
fn a_partition_that_is_not_done_counts_as_begun() {
    for undone in [done(false), not_reached()] {
        let expected = with_flag(&undone, "begun", true).into_bytes();
        assert_eq!(
            forward(PARTITIONS, &undone),
            (COPY_PARTITIONS.to_owned(), expected)
        );
    }
    let moved = (COPY_PARTITIONS.to_owned(), done(true).into_bytes());
    assert_eq!(forward(PARTITIONS, &done(true)), moved);
}

/// Every document of version 2 that the step moves, with more and fewer fields than a host writes.
fn all() -> Vec<(&'static str, RawDocumentBuf)> {
    let mut all = vec![(POSITION, position()), (POSITION, rawdoc! {})];
    for is_done in [true, false] {
        let partition = done(is_done);
        let names: Vec<_> = fields(&partition).filter(|name| name != "done").collect();
        for left_out in 0_u32..1 << names.len() {
            let kept = |name: &str| {
                let at = names.iter().position(|known| known == name);
                at.is_none_or(|at| left_out & 1 << at == 0)
            };
            all.push((PARTITIONS, filtered(&partition, kept)));
        }
    }
    all
}

fn fields(document: &RawDocument) -> impl Iterator<Item = String> + '_ {
    document
        .iter()
        .map(|field| field.expect("BSON").0.as_str().to_owned())
}

fn filtered(document: &RawDocument, kept: impl Fn(&str) -> bool) -> RawDocumentBuf {
    let mut filtered = RawDocumentBuf::new();
    for field in document {
        let (name, value) = field.expect("BSON");
        if kept(name.as_str()) {
            filtered.append(name, value);
        }
    }
    filtered
}

#[test]
fn forward_twice_is_forward_once_and_back_gives_the_same_bytes() {
    for (collection, before) in all() {
        let (moved, after) = forward(collection, &before);
        assert_ne!(moved, collection);
        let again = migrate(Direction::Forward, &moved, &after).expect("version 3");
        assert_eq!(again, (moved.clone(), after.clone()), "{collection}");
        let (returned, bytes) = back(&moved, &after);
        assert_eq!(
            (&*returned, &*bytes),
            (collection, before.as_bytes()),
            "{before:?}"
        );
        let again = migrate(Direction::Back, &returned, &bytes).expect("version 2");
        assert_eq!(again, (returned, bytes), "{collection}");
    }
}

#[test]
fn the_way_back_removes_the_fields_of_version_3() {
    let after = with_flag(&with_flag(&done(true), "begun", true), "suspect", false);
    let returned = (PARTITIONS.to_owned(), done(true).into_bytes());
    assert_eq!(back(COPY_PARTITIONS, after.as_bytes()), returned);
}

#[test]
fn a_sync_that_version_2_could_not_go_on_with_is_refused_by_name() {
    let cases = [
        (
            INTENTS,
            intent("pending"),
            "rename of app.users was begun and is not recorded as done",
        ),
        (
            INTENTS,
            intent("inFlight"),
            "rename of app.users was begun by an earlier host and may still take effect",
        ),
        (
            INTENTS,
            rawdoc! { "what": "dropDatabase", "source": { "database": "app", "collection": "" } },
            "dropDatabase of app was begun by an earlier host",
        ),
        (INTENTS, rawdoc! {}, "unknown of unknown was begun"),
        (
            COPY_PARTITIONS,
            with_flag(&done(true), "suspect", true),
            "partition 000102030405060708090a0b0c0dfeff:3 was copied by a host that lost",
        ),
    ];
    for (collection, document, says) in cases {
        let failure = migrate(Direction::Back, collection, document.as_bytes());
        let Err(DocumentFailure::Fatal(reason)) = &failure else {
            panic!("{says}: {failure:?}")
        };
        let before = "the sync cannot go back to metadata version 2: ";
        assert!(reason.starts_with(&format!("{before}{says}")), "{reason}");
        assert!(reason.ends_with("or a later one"), "{reason}");
    }
}

#[test]
fn an_intent_stays_in_version_3() {
    let before = intent("pending");
    let same = (INTENTS.to_owned(), before.as_bytes().to_vec());
    assert_eq!(forward(INTENTS, &before), same);
}

#[test]
fn a_document_that_no_host_writes_is_named_with_the_field() {
    let cases = [
        (Direction::Forward, PARTITIONS, rawdoc! {}, "it has no done"),
        (
            Direction::Forward,
            PARTITIONS,
            rawdoc! { "done": 1 },
            "done is of the type int, and a host writes bool",
        ),
        (
            Direction::Back,
            COPY_PARTITIONS,
            rawdoc! { "suspect": "yes" },
            "suspect is of the type string",
        ),
    ];
    for (direction, collection, document, says) in cases {
        let failure = migrate(direction, collection, document.as_bytes());
        assert!(
            matches!(&failure, Err(DocumentFailure::Document(reason)) if reason.starts_with(says)),
            "{says}: {failure:?}"
        );
    }
}

#[test]
fn bytes_that_are_no_document_are_no_panic() {
    let whole = done(false).into_bytes();
    for cut in [0, 4, 5, 20, whole.len() - 1] {
        for direction in [Direction::Forward, Direction::Back] {
            for collection in MetadataV2ToV3::STEP.collections {
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
    let config = |text| parse::<Config>(text).and_then(MetadataV2ToV3::configure);
    config("{}").expect("nothing");
    let error = config(r#"{"a": 1}"#).expect_err("a field");
    assert_eq!(error.fault, ConfigFault::UnknownField);
    let schema = MetadataV2ToV3::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
