//! Documents as hosts of versions 3 and 4 write them, forward and back.

use bson::{RawDocumentBuf, Timestamp, rawdoc};
use tidegate_plugin_sdk::{
    ConfigFault, Context, Direction, DocumentFailure, Migrate, Output, Plugin, parse,
};

use super::{
    Config, INTENTS, MetadataV3ToV4, NAMESPACES, PARKED_KEYS, PARTITIONS, POSITION, SESSION,
};

fn time(seconds: u32) -> Timestamp {
    Timestamp {
        time: seconds,
        increment: 1,
    }
}

fn session_of(release: &str, phase: &str) -> RawDocumentBuf {
    rawdoc! {
        "_id": "session", "metadataVersion": 3, "writtenBy": release, "phase": phase,
        "options": { "source": "cluster0", "plugins": [{ "config": "{}", "resyncs": true }] },
        "startTime": time(100), "recopy": ["0001"], "term": 7_i64,
    }
}

fn session() -> RawDocumentBuf {
    session_of("0.3.2", "changeEventApplication")
}

/// The document that replaces another, in the same collection.
fn migrate_in(
    session: &RawDocumentBuf,
    direction: Direction,
    collection: &str,
    document: &[u8],
) -> Result<Vec<u8>, DocumentFailure> {
    let context = Context {
        direction,
        session: session.as_bytes(),
        collection,
    };
    let mut output = Output::default();
    MetadataV3ToV4.migrate(&context, document, &mut output)?;
    for other in MetadataV3ToV4::STEP.collections {
        assert!(*other == collection || output.collection(other).is_empty());
    }
    Ok(std::mem::take(output.collection(collection)))
}

fn migrate(
    direction: Direction,
    collection: &str,
    document: &RawDocumentBuf,
) -> Result<RawDocumentBuf, DocumentFailure> {
    let bytes = migrate_in(&session(), direction, collection, document.as_bytes())?;
    Ok(RawDocumentBuf::from_bytes(bytes).expect("a document"))
}

fn forward(collection: &str, document: &RawDocumentBuf) -> RawDocumentBuf {
    let after = migrate(Direction::Forward, collection, document).expect(collection);
    let again = migrate(Direction::Forward, collection, &after).expect("version 4");
    assert_eq!(again, after, "twice is once: {collection}");
    after
}

fn back(collection: &str, document: &RawDocumentBuf) -> RawDocumentBuf {
    let before = migrate(Direction::Back, collection, document).expect(collection);
    let again = migrate(Direction::Back, collection, &before).expect("version 3");
    assert_eq!(again, before, "twice is once: {collection}");
    before
}

fn partition(done: bool) -> RawDocumentBuf {
    rawdoc! {
        "_id": "0001:3", "namespaceId": "0001",
        // A user's value: the fields inside it are not metadata.
        "lower": { "_id": { "begunAt": 1, "compare": true, "done": false } },
        "documents": 3_i64, "bytes": 300_i64, "done": done, "fromSomewhere": 1, "term": 7_i64,
    }
}

fn position(clean: bool) -> RawDocumentBuf {
    rawdoc! {
        "_id": "position", "resumeToken": { "_data": "82", "clean": true }, "clusterTime": time(200),
        "exactAfter": time(150), "eventsApplied": 12_i64, "clean": clean,
        "copied": { "documents": 3_i64, "bytes": 300_i64 }, "term": 7_i64,
    }
}

fn namespace(state: &str) -> RawDocumentBuf {
    rawdoc! {
        "_id": "0001", "kind": "collection", "source": { "database": "app", "collection": "users" },
        "options": { "compare": 1 }, "copyState": state, "term": 7_i64,
    }
}

fn intent(what: &str) -> RawDocumentBuf {
    rawdoc! {
        "_id": "7:3", "what": what, "source": { "database": "app", "collection": "users" },
        "state": "inFlight", "term": 7_i64,
    }
}

/// A document with more fields at its end.
fn with(document: &RawDocumentBuf, fields: &RawDocumentBuf) -> RawDocumentBuf {
    let mut document = document.clone();
    for field in fields {
        let (name, value) = field.expect("BSON");
        document.append(name, value);
    }
    document
}

fn refusal(collection: &str, document: &RawDocumentBuf) -> String {
    match migrate(Direction::Back, collection, document) {
        Err(DocumentFailure::Fatal(reason)) => reason,
        other => panic!("{collection}: {other:?}"),
    }
}

#[test]
fn a_range_with_inserts_is_in_work_since_the_start_time() {
    let in_work = rawdoc! { "begun": true, "begunAt": time(100) };
    let begun = with(&partition(false), &rawdoc! { "begun": true });
    assert_eq!(
        forward(PARTITIONS, &begun),
        with(&partition(false), &in_work)
    );
    let last = rawdoc! { "lastId": { "_id": 7 }, "suspect": true };
    let stopped = with(&partition(false), &last);
    assert_eq!(forward(PARTITIONS, &stopped), with(&stopped, &in_work));
    let suspect = with(&partition(false), &rawdoc! { "suspect": true });
    assert_eq!(forward(PARTITIONS, &suspect), with(&suspect, &in_work));
    let taken_back = with(&stopped, &rawdoc! { "begun": false });
    assert_eq!(forward(PARTITIONS, &taken_back), with(&stopped, &in_work));
}

#[test]
fn other_documents_go_forward_unchanged_and_back() {
    let done = with(
        &partition(true),
        &rawdoc! { "lastId": { "_id": 7 }, "suspect": true },
    );
    let documents = [
        (PARTITIONS, done),
        (POSITION, position(true)),
        (POSITION, position(false)),
        (NAMESPACES, namespace("ready")),
        (SESSION, session()),
        (INTENTS, intent("createIndexes")),
    ];
    for (collection, before) in documents {
        assert_eq!(forward(collection, &before), before, "{collection}");
        assert_eq!(back(collection, &before), before, "{collection}");
    }
    assert_eq!(forward(PARTITIONS, &partition(false)), partition(false));
}

#[test]
fn the_way_back_removes_the_fields_of_version_4() {
    let times = rawdoc! { "begunAt": time(5), "doneAt": time(6), "compare": true };
    let after = with(&partition(true), &times);
    assert_eq!(back(PARTITIONS, &after), partition(true));
    let view = rawdoc! { "_id": "view:a.b", "kind": "view", "copyState": "pending" };
    for before in [namespace("ready"), view] {
        let after = with(&before, &rawdoc! { "compare": false });
        assert_eq!(back(NAMESPACES, &after), before);
    }
    let before = rawdoc! {
        "phase": "restore", "options": { "source": "cluster0", "plugins": [] }, "writtenBy": "0.4.0",
    };
    let after = rawdoc! {
        "phase": "restore", "options": {
            "source": "cluster0", "onOplogRollover": "stop", "plugins": [], "loadLevel": 4,
            "throttle": { "maxReplicationLagSeconds": 0 },
        },
        "writtenBy": "0.4.0", "resyncs": [{ "reason": "x", "done": true }],
    };
    assert_eq!(back(SESSION, &after), before);
}

#[test]
fn a_position_of_version_4_is_not_clean_in_version_3() {
    let back = |release: &str, position: &RawDocumentBuf| {
        let session = session_of(release, "changeEventApplication");
        let bytes = migrate_in(&session, Direction::Back, POSITION, position.as_bytes());
        RawDocumentBuf::from_bytes(bytes.expect("a position")).expect("a document")
    };
    for release in ["0.4.0", "0.10.2", "1.0.0", "unknown"] {
        assert_eq!(back(release, &position(true)), position(false), "{release}");
    }
    for release in ["0.1.0", "0.3.2"] {
        assert_eq!(back(release, &position(true)), position(true), "{release}");
    }
}

#[test]
fn a_sync_that_version_3_could_not_go_on_with_is_refused_by_name() {
    let unfinished = [
        (
            PARTITIONS,
            partition(false),
            "partition 0001:3 is not copied or compared yet",
        ),
        (
            NAMESPACES,
            namespace("pending"),
            "app.users has the copyState pending",
        ),
        (
            NAMESPACES,
            namespace("copied"),
            "app.users has the copyState copied",
        ),
        (
            SESSION,
            session_of("0.4.0", "collectionCopy"),
            "it is in the phase collectionCopy",
        ),
        (
            SESSION,
            session_of("0.4.0", "indexBuild"),
            "it is in the phase indexBuild",
        ),
        (
            SESSION,
            with(
                &session(),
                &rawdoc! { "resyncs": [{ "done": true }, { "done": false }] },
            ),
            "a resync has begun",
        ),
        (
            PARKED_KEYS,
            rawdoc! { "_id": "0001:3:aa", "namespaceId": "0001" },
            "changed documents of the collection 0001 wait until they are looked up",
        ),
    ];
    for (collection, document, says) in unfinished {
        let reason = refusal(collection, &document);
        let before = "the sync cannot go back to metadata version 3 now: ";
        assert!(reason.starts_with(&format!("{before}{says}")), "{reason}");
        assert!(
            reason.ends_with("are copied and their indexes built"),
            "{reason}"
        );
    }
    let reason = refusal(INTENTS, &intent("reconcile"));
    let says = "the sync cannot go back to metadata version 3: reconcile of app.users may still";
    assert!(reason.starts_with(says), "{reason}");
    assert!(reason.ends_with("or a later one"), "{reason}");
}

#[test]
fn a_document_that_no_host_writes_is_named_with_the_field() {
    let (forward, back) = (Direction::Forward, Direction::Back);
    let cases = [
        (forward, PARTITIONS, rawdoc! {}, "it has no done"),
        (
            forward,
            PARTITIONS,
            rawdoc! { "done": 1 },
            "done is of the type int",
        ),
        (
            forward,
            PARTITIONS,
            rawdoc! { "begun": "yes", "done": false },
            "begun is of the type string",
        ),
        (back, NAMESPACES, rawdoc! {}, "it has no copyState"),
        (
            back,
            SESSION,
            rawdoc! { "phase": 1 },
            "phase is of the type int",
        ),
        (
            back,
            SESSION,
            rawdoc! { "phase": "done", "resyncs": [1] },
            "resyncs is of the type int",
        ),
        (back, INTENTS, rawdoc! {}, "it has no what"),
    ];
    for (direction, collection, document, says) in cases {
        let failure = migrate(direction, collection, &document);
        assert!(
            matches!(&failure, Err(DocumentFailure::Document(reason)) if reason.starts_with(says)),
            "{says}: {failure:?}"
        );
    }
    let begun = with(&partition(false), &rawdoc! { "begun": true });
    for (session, says) in [
        (rawdoc! {}, "it has no startTime"),
        (
            rawdoc! { "startTime": 1_i64 },
            "startTime is of the type long",
        ),
    ] {
        let failure = migrate_in(&session, forward, PARTITIONS, begun.as_bytes());
        assert!(
            matches!(&failure, Err(DocumentFailure::Document(reason)) if reason.starts_with(says)),
            "{says}: {failure:?}"
        );
    }
}

#[test]
fn bytes_that_are_no_document_are_no_panic() {
    let whole = session().into_bytes();
    for cut in [0, 4, 5, 20, whole.len() - 1] {
        for direction in [Direction::Forward, Direction::Back] {
            for collection in MetadataV3ToV4::STEP.collections {
                let failure = migrate_in(&session(), direction, collection, &whole[..cut])
                    .expect_err("no document");
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
    let config = |text| parse::<Config>(text).and_then(MetadataV3ToV4::configure);
    config("{}").expect("nothing");
    let error = config(r#"{"a": 1}"#).expect_err("a field");
    assert_eq!(error.fault, ConfigFault::UnknownField);
    let schema = MetadataV3ToV4::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
