//! Documents that no host writes, and syncs that version 1 could not continue.

use bson::{Bson, Document, doc};
use tidegate_plugin_sdk::{Direction, DocumentFailure};

use super::documents::{partition, session_0_1_1};
use super::{edited, migrate};

type Edit = fn(&mut Document);

/// The message for the session after an edit.
fn said_of_session(direction: Direction, edit: Edit) -> DocumentFailure {
    let session = edited(&session_0_1_1(), edit);
    migrate(direction, "session", session.as_bytes()).expect_err("a failure")
}

fn pin(session: &mut Document, components: &[Document]) {
    let components = components.iter().cloned().map(Bson::Document);
    session.insert("pinned", components.collect::<Vec<_>>());
}

fn pinned(slot: &str) -> Document {
    doc! {
        "slot": slot, "role": "route", "name": "any", "version": "0.9.0", "digest": "d",
        "abi": "1.0.0", "semantics": 1_i64,
    }
}

#[test]
fn a_document_that_no_host_writes_is_named_with_the_field() {
    let cases: [(Edit, &str); 8] = [
        (
            |s| drop(s.remove("metadataVersion")),
            "it has no metadataVersion",
        ),
        (
            |s| drop(s.insert("metadataVersion", 1_i64)),
            "metadataVersion is of the type long, and a host writes int",
        ),
        (|s| drop(s.remove("writtenBy")), "it has no writtenBy"),
        (
            |s| drop(s.insert("pinned", doc! {})),
            "pinned is of the type object, and a host writes array",
        ),
        (
            |s| drop(s.insert("pinned", vec![7])),
            "pinned[0] is of the type int, and a host writes object",
        ),
        (
            |s| {
                pin(
                    s,
                    &[doc! { "name": "n", "version": "1.0.0", "semantics": 1_i64 }],
                )
            },
            "in pinned[0], it has no digest",
        ),
        (
            |s| {
                pin(
                    s,
                    &[doc! { "name": "n", "version": "1.0.0", "digest": "d", "semantics": 1 }],
                )
            },
            "in pinned[0], semantics is of the type int, and a host writes long",
        ),
        (
            |s| drop(s.insert("term", 1)),
            "term is of the type int, and a host writes long",
        ),
    ];
    for (edit, says) in cases {
        let failure = said_of_session(Direction::Forward, edit);
        assert!(
            matches!(&failure, DocumentFailure::Document(reason) if reason.starts_with(says)),
            "{says}: {failure:?}"
        );
    }
}

#[test]
fn a_session_of_another_version_does_not_go_back() {
    let cases: [(Edit, &str); 6] = [
        (|s| drop(s.remove("state")), "it has no state"),
        (|s| drop(s.insert("phase", 7)), "phase is of the type int"),
        (
            |s| drop(s.insert("features", vec![7])),
            "features[0] is of the type int",
        ),
        (
            |s| pin(s, &[pinned("plugins[1]")]),
            "it pins a component for plugins[1] and none for plugins[0]",
        ),
        (
            |s| {
                pin(
                    s,
                    &[
                        pinned("plugins[0]"),
                        doc! { "slot": "plugins[0]", "abi": "1.0.0", "digest": "e" },
                    ],
                )
            },
            "it pins two components for plugins[0]",
        ),
        (
            |s| pin(s, &[doc! { "slot": "namespaceFilter" }]),
            "in pinned[0], it has no semantics",
        ),
    ];
    for (edit, says) in cases {
        let failure = said_of_session(Direction::Back, edit);
        assert!(
            matches!(&failure, DocumentFailure::Document(reason) if reason.starts_with(says)),
            "{says}: {failure:?}"
        );
    }
}

#[test]
fn a_sync_that_version_1_could_not_go_on_with_is_refused_by_name() {
    let cases: [(Edit, &str); 9] = [
        (
            |s| drop(s.insert("recopy", vec!["a", "b"])),
            "2 of its namespaces wait to be copied again",
        ),
        (
            |s| {
                let mut filter = pinned("namespaceFilter");
                filter.insert("semantics", 2_i64);
                pin(s, &[filter]);
            },
            "namespaceFilter runs on any 0.9.0 with semantics 2",
        ),
        (
            |s| {
                let mut remap = pinned("namespaceRemap");
                remap.insert("semantics", 3_i64);
                pin(s, &[remap]);
            },
            "namespaceRemap runs on any 0.9.0 with semantics 3",
        ),
        (
            |s| {
                let mut plugin = pinned("plugins[0]");
                plugin.insert("abi", "1.1.0");
                pin(s, &[plugin]);
            },
            "plugins[0] runs on any 0.9.0, which was built for tidegate:plugin 1.1.0",
        ),
        (|s| pin(s, &[pinned("spool")]), "any 0.9.0 is used as spool"),
        (
            |s| drop(s.insert("state", "VERIFYING")),
            "its state is VERIFYING",
        ),
        (
            |s| drop(s.insert("phase", "spooling")),
            "its phase is spooling",
        ),
        (
            |s| drop(s.insert("features", vec!["plugins", "spool"])),
            "it was begun with spool",
        ),
        (
            |s| {
                let swap = doc! { "slot": "plugins[0]", "name": "field-mask", "recopied": true };
                s.insert("swaps", vec![Bson::Document(swap)]);
            },
            "in plugins[0], field-mask took the place of another build and its namespaces were copied again",
        ),
    ];
    for (edit, says) in cases {
        let failure = said_of_session(Direction::Back, edit);
        let DocumentFailure::Fatal(reason) = &failure else {
            panic!("{says}: {failure:?}")
        };
        assert!(
            reason.starts_with(&format!(
                "the sync cannot go back to metadata version 1: {says}"
            )),
            "{reason}"
        );
        assert!(reason.ends_with("or a later one"), "{reason}");
    }
}

#[test]
fn bytes_that_are_no_document_are_no_panic() {
    let whole = partition().into_bytes();
    for cut in [0, 4, 5, 20, whole.len() - 1] {
        for direction in [Direction::Forward, Direction::Back] {
            for collection in ["session", "partitions"] {
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
