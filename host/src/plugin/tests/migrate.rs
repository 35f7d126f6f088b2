//! Tests of migration steps: the shipped steps, and guests that misbehave.

use bson::{Document, RawDocumentBuf, doc, rawdoc};

use crate::model::{ErrorName, OperatorError, raw};

use super::super::{Direction, Migrator};
use super::guest::Guest;
use super::{added, batch, document, registry};

/// The acts of the guest of [`migrates`], selected by the field `b` of a document. Other documents are returned
/// unchanged.
mod act {
    pub(super) const KEEP: u8 = 0;
    pub(super) const DROP: u8 = 1;
    /// Returned for another collection.
    pub(super) const MOVE: u8 = 2;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const LOOP: u8 = 4;
    pub(super) const DOCUMENT_ERROR: u8 = 5;
    pub(super) const REFUSED: u8 = 6;
    pub(super) const UNKNOWN_DOCUMENT: u8 = 7;
    pub(super) const NO_BSON: u8 = 8;
    pub(super) const NO_ID: u8 = 9;
    pub(super) const BYTES_LEFT: u8 = 10;
    pub(super) const OTHER_DATABASE: u8 = 11;
    pub(super) const MUCH_OUTPUT: u8 = 12;
    /// A trap in company, returned when alone.
    pub(super) const NOT_IN_COMPANY: u8 = 13;
}

/// The acts of the guest of [`migrates`], in WebAssembly text.
fn arms() -> String {
    let error = |kind: u8, first: &str, second: &str, third: &str| {
        format!(
            "(i32.store (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const {kind}))
             (i32.store (i32.const 520) {first}) (i32.store (i32.const 524) {second}) (i32.store (i32.const 528) {third})
             (return (i32.const 512))"
        )
    };
    let (text, length) = ("(i32.const 700)", "(i32.const 9)");
    let collection = |at: u32, length: u32| {
        format!(
            "(i32.store (i32.const 2048) (i32.const {at})) (i32.store (i32.const 2052) (i32.const {length}))"
        )
    };
    let arms = [
        (act::DROP, "(local.set $r (i32.sub (local.get $r) (local.get $size)))".to_owned()),
        (act::MOVE, collection(2220, 7)),
        (act::UNREACHABLE, "(unreachable)".to_owned()),
        (act::LOOP, "(loop $again (br $again))".to_owned()),
        (act::DOCUMENT_ERROR, error(0, "(local.get $n)", text, length)),
        (act::REFUSED, error(1, text, length, "(i32.const 0)")),
        (act::UNKNOWN_DOCUMENT, error(0, "(i32.const 9)", text, length)),
        (act::NO_BSON, "(i32.store8 offset=13 (i32.sub (local.get $r) (local.get $size)) (i32.const 0x7e))".to_owned()),
        (
            act::NO_ID,
            "(local.set $r (i32.sub (local.get $r) (local.get $size)))
             (i32.store (local.get $r) (i32.const 5)) (i32.store8 offset=4 (local.get $r) (i32.const 0))
             (local.set $r (i32.add (local.get $r) (i32.const 5)))".to_owned(),
        ),
        (act::BYTES_LEFT, "(local.set $r (i32.add (local.get $r) (i32.const 3)))".to_owned()),
        (act::OTHER_DATABASE, collection(2230, 4)),
        (act::MUCH_OUTPUT, "(local.set $r (i32.add (local.get $r) (i32.const 2000000)))".to_owned()),
        (act::NOT_IN_COMPANY, "(if (i32.ne (local.get $size) (local.get $len)) (then (unreachable)))".to_owned()),
    ];
    arms.iter()
        .map(|(b, arm)| format!("(if (i32.eq (local.get $b) (i32.const {b})) (then {arm}))\n"))
        .collect()
}

/// A guest that migrates `position` from version 7, and back if `reversible`.
fn migrates(reversible: u8, which_step: &str) -> Guest<'static> {
    let arms = arms();
    Guest {
        world: "migrate-plugin",
        name: "step",
        schema: r#"{"type": "object", "additionalProperties": false}"#,
        more: format!(
            r#"(data (i32.const 2200) "position") (data (i32.const 2220) "journal") (data (i32.const 2230) "$cmd")
            (func (export "tidegate:plugin/migrate@1.0.0#which-step") (result i32)
                {which_step}
                (i32.store (i32.const 2100) (i32.const 7)) (i32.store8 (i32.const 2104) (i32.const {reversible}))
                (i32.store (i32.const 2108) (i32.const 2120)) (i32.store (i32.const 2112) (i32.const 1))
                (i32.store (i32.const 2120) (i32.const 2200)) (i32.store (i32.const 2124) (i32.const 8))
                (i32.const 2100))
            (func $misbehave (export "tidegate:plugin/migrate@1.0.0#migrate")
                (param $direction i32) (param $session i32) (param $session_len i32)
                (param $name i32) (param $name_len i32) (param $docs i32) (param $len i32) (result i32)
                (local $at i32) (local $end i32) (local $n i32) (local $b i32) (local $r i32) (local $size i32)
                (global.set $top (i32.const 4096))
                (local.set $at (local.get $docs)) (local.set $end (i32.add (local.get $docs) (local.get $len)))
                (local.set $r (i32.const 0x1c0000))
                (i32.store (i32.const 2048) (local.get $name)) (i32.store (i32.const 2052) (local.get $name_len))
                (block $done (loop $next
                    (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
                    (local.set $size (i32.load (local.get $at)))
                    (local.set $b (i32.load8_u offset=16 (local.get $at)))
                    (memory.copy (local.get $r) (local.get $at) (local.get $size))
                    (local.set $r (i32.add (local.get $r) (local.get $size)))
                    {arms}
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (local.set $at (i32.add (local.get $at) (local.get $size)))
                    (br $next)))
                (i32.store (i32.const 2056) (i32.const 0x1c0000))
                (i32.store (i32.const 2060) (i32.sub (local.get $r) (i32.const 0x1c0000)))
                (i32.store (i32.const 512) (i32.const 0))
                (i32.store (i32.const 516) (i32.const 2048)) (i32.store (i32.const 520) (i32.const 1))
                (i32.const 512))"#
        ),
        ..Guest::default()
    }
}

fn migrator(guest: &Guest<'_>) -> Result<Migrator, OperatorError> {
    let component = registry().component(&added(guest)).expect("just added");
    Migrator::new(component)
}

fn forward(migrator: &Migrator, acts: &[u8]) -> Result<Vec<(String, Vec<u8>)>, OperatorError> {
    let session = rawdoc! { "_id": "session" };
    migrator.migrate(
        Direction::Forward,
        session.as_bytes(),
        "position",
        &batch(acts),
    )
}

fn position(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    vec![("position".to_owned(), bytes)]
}

#[test]
fn a_step_says_what_it_is_and_answers_by_collection() {
    let migrator = migrator(&migrates(1, "")).expect("a step");
    let step = migrator.step();
    assert_eq!((step.from, step.reversible), (7, true));
    assert_eq!(step.collections, ["position"]);
    assert_eq!(
        forward(&migrator, &[act::KEEP, act::DROP, act::KEEP]).expect("an answer"),
        position([document(0, act::KEEP), document(2, act::KEEP)].concat())
    );
    let moved = forward(&migrator, &[act::MOVE]).expect("an answer");
    assert_eq!(moved, [("journal".to_owned(), document(0, act::MOVE))]);
    assert_eq!(forward(&migrator, &[]).expect("no document"), []);
}

/// The guest is called several times, and returns all documents in their order.
#[test]
fn more_documents_than_one_call_takes_come_out_in_their_order() {
    let migrator = migrator(&migrates(1, "")).expect("a step");
    let acts = vec![act::KEEP; 20_000];
    assert_eq!(
        forward(&migrator, &acts).expect("an answer"),
        position(batch(&acts))
    );
}

#[test]
fn what_goes_wrong_names_the_component_and_the_document() {
    let guest = migrates(1, "");
    let migrator = migrator(&guest).expect("a step");
    let named = "the document of mongosync_internal_tidegate.position with the _id 1";
    for (acts, words) in [
        (
            &[act::KEEP, act::UNREACHABLE, act::LOOP][..],
            &[named, "panic (src/x.rs:1:)"][..],
        ),
        (&[act::KEEP, act::LOOP], &[named, "deadline exceeded"]),
        (
            &[act::KEEP, act::DOCUMENT_ERROR],
            &[named, "failed: not today"],
        ),
        (&[act::KEEP, act::REFUSED], &["failed: not today"]),
        (&[act::NOT_IN_COMPANY, act::KEEP], &["trapped: panic"]),
        (
            &[act::UNKNOWN_DOCUMENT],
            &["it refused document 9 of a batch of 1"],
        ),
        (
            &[act::NO_BSON],
            &["with the _id 0", "bytes for position that are not BSON"],
        ),
        (
            &[act::KEEP, act::NO_BSON],
            &["bytes for position that are not BSON"],
        ),
        (&[act::NO_ID], &["a document of position without _id"]),
        (
            &[act::BYTES_LEFT],
            &["bytes for position that are not BSON"],
        ),
        (
            &[act::OTHER_DATABASE],
            &["\"$cmd\", which is no collection of the metadata"],
        ),
        (&[act::MUCH_OUTPUT], &["output limit exceeded"]),
    ] {
        let error = forward(&migrator, acts).expect_err("a failure");
        assert_eq!(error.name, ErrorName::MigrationFailed, "{error}");
        let common = [
            "`migrate` of the component step (sha256:",
            "nothing was changed",
        ];
        for word in words.iter().chain(&common) {
            assert!(error.message.contains(word), "{word}: {error}");
        }
        // The next call gets a new instance.
        assert_eq!(
            forward(&migrator, &[act::KEEP]).expect("an answer"),
            position(document(0, act::KEEP))
        );
    }
}

#[test]
fn a_step_without_a_way_back_is_not_asked_for_it() {
    let migrator = migrator(&migrates(0, "")).expect("a step");
    let error = migrator
        .migrate(
            Direction::Back,
            &[],
            "position",
            &batch(&[act::UNREACHABLE]),
        )
        .expect_err("no way back");
    assert_eq!(error.name, ErrorName::MigrationFailed);
    assert!(error.message.contains("no way back"), "{error}");
}

#[test]
fn a_step_that_cannot_say_what_it_is_is_a_failure() {
    let trapping = migrates(1, "(unreachable)");
    let demanding = Guest {
        schema: r#"{"type": "object", "required": ["key"]}"#,
        ..migrates(1, "(drop (i32.load (i32.const -1)))")
    };
    for guest in [trapping, demanding] {
        let error = migrator(&guest).err().expect("a failure");
        assert_eq!(error.name, ErrorName::MigrationFailed, "{error}");
        assert!(
            error.message.contains("`which-step` of the component step"),
            "{error}"
        );
    }
}

fn shipped(from: u32) -> Option<Migrator> {
    Migrator::find(registry(), from).expect("no failure")
}

fn partition(number: i32) -> RawDocumentBuf {
    rawdoc! { "_id": format!("a.{number}"), "namespaceId": "a", "documents": 1_i64, "done": true }
}

#[test]
fn the_shipped_step_from_version_1_goes_forward_and_back() {
    let migrator = shipped(1).expect("a step");
    assert_eq!(
        (migrator.step().from, migrator.step().reversible),
        (1, true)
    );
    assert!(shipped(0).is_none());

    let session = rawdoc! { "_id": "session", "metadataVersion": 1, "writtenBy": "0.1.0" };
    let before: Vec<u8> = (0..1_000)
        .flat_map(|number| partition(number).into_bytes())
        .collect();
    let migrate = |direction, documents: &[u8]| {
        let written = migrator.migrate(direction, session.as_bytes(), "partitions", documents);
        let [(collection, bytes)] = written
            .expect("an answer")
            .try_into()
            .expect("one collection");
        assert_eq!(collection, "partitions");
        bytes
    };
    let after = migrate(Direction::Forward, &before);
    let first = raw::sequence(&after)
        .next()
        .expect("a document")
        .expect("BSON");
    let first: Document = bson::deserialize_from_slice(first).expect("BSON");
    assert_eq!(
        first,
        doc! { "_id": "a.0", "namespaceId": "a", "documents": 1_i64, "done": true, "term": 0_i64 }
    );
    assert_eq!(migrate(Direction::Back, &after), before);

    let nobodys = rawdoc! { "_id": "session", "writtenBy": "0.1.0" };
    let error = migrator
        .migrate(
            Direction::Forward,
            nobodys.as_bytes(),
            "session",
            nobodys.as_bytes(),
        )
        .expect_err("no version");
    assert_eq!(error.name, ErrorName::MigrationFailed);
    for word in [
        "metadata-v1-to-v2",
        "with the _id \"session\"",
        "it has no metadataVersion",
    ] {
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

#[test]
fn the_shipped_step_from_version_2_moves_two_collections_and_refuses_what_would_be_lost() {
    let migrator = shipped(2).expect("a step");
    let step = migrator.step();
    assert_eq!((step.from, step.reversible), (2, true));
    assert!(step.collections.iter().any(|name| name == "intents"));
    let session = rawdoc! { "_id": "session", "metadataVersion": 2 };
    let migrate = |direction, collection, documents: &[u8]| {
        migrator.migrate(direction, session.as_bytes(), collection, documents)
    };
    let undone = rawdoc! { "_id": "a.1000", "namespaceId": "a", "done": false };
    let before: Vec<u8> = (0..1_000)
        .map(partition)
        .chain([undone])
        .flat_map(RawDocumentBuf::into_bytes)
        .collect();
    let [(moved, after)] = migrate(Direction::Forward, "partitions", &before)
        .expect("an answer")
        .try_into()
        .expect("one collection");
    assert_eq!(moved, "copyPartitions");
    let documents: Vec<Document> = raw::sequence(&after)
        .map(|one| bson::deserialize_from_slice(one.expect("BSON")).expect("BSON"))
        .collect();
    let begun: Vec<_> = documents
        .iter()
        .filter(|one| one.get_bool("begun").is_ok())
        .collect();
    assert_eq!(
        begun,
        [&doc! { "_id": "a.1000", "namespaceId": "a", "done": false, "begun": true }]
    );
    let back = migrate(Direction::Back, &moved, &after).expect("an answer");
    assert_eq!(back, [("partitions".to_owned(), before)]);

    let intent = rawdoc! {
        "_id": "7:3", "what": "drop", "source": { "database": "app", "collection": "users" },
        "state": "pending",
    };
    let error = migrate(Direction::Back, "intents", intent.as_bytes()).expect_err("a refusal");
    assert_eq!(error.name, ErrorName::MigrationFailed);
    for word in ["metadata-v2-to-v3", "drop of app.users", "or a later one"] {
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

#[test]
fn the_shipped_step_from_version_3_dates_begun_partitions_and_refuses_unfinished_copies() {
    let migrator = shipped(3).expect("a step");
    let step = migrator.step();
    assert_eq!((step.from, step.reversible), (3, true));
    assert!(step.collections.iter().any(|name| name == "parkedKeys"));
    let time = bson::Timestamp {
        time: 7,
        increment: 1,
    };
    let session = rawdoc! {
        "_id": "session", "metadataVersion": 3, "startTime": time, "phase": "collectionCopy",
        "writtenBy": "0.3.2", "options": {},
    };
    let migrate = |direction, collection, documents: &[u8]| {
        migrator.migrate(direction, session.as_bytes(), collection, documents)
    };
    let done = partition(0);
    assert_eq!(
        migrate(Direction::Back, "copyPartitions", done.as_bytes()).expect("an answer"),
        [("copyPartitions".to_owned(), done.as_bytes().to_vec())]
    );
    let begun = rawdoc! { "_id": "a.1", "namespaceId": "a", "done": false, "lastId": { "_id": 3 } };
    let [(_, after)] = migrate(Direction::Forward, "copyPartitions", begun.as_bytes())
        .expect("an answer")
        .try_into()
        .expect("one collection");
    let mut expected = bson::Document::try_from(&*begun).expect("BSON");
    expected.extend(doc! { "begun": true, "begunAt": time });
    let after: Document = bson::deserialize_from_slice(&after).expect("BSON");
    assert_eq!(after, expected);

    let refused = migrate(Direction::Back, "session", session.as_bytes()).expect_err("a refusal");
    assert_eq!(refused.name, ErrorName::MigrationFailed);
    for word in [
        "metadata-v3-to-v4",
        "the phase collectionCopy",
        "cannot go back",
    ] {
        assert!(refused.message.contains(word), "{word}: {refused}");
    }
}
