//! Tests of every fault of a document, under both policies.

use bson::rawdoc;

use crate::model::ErrorName;
use crate::model::options::OnError;

use super::super::{FaultKind, Outcome, TrapKind};
use super::guest::act::{
    BYTES_LEFT, DOCUMENT_ERROR, DROP, FATAL, HOG, KEEP, LOOP, MUCH_OUTPUT, NO_BSON, NO_ID,
    NO_REPLACEMENT, NOT_IN_COMPANY, ONE_VERDICT_MORE, OTHER_ID, OTHER_ID_TYPE, OUT_OF_BOUNDS,
    RECURSE, REPLACE, TOO_LARGE, UNKNOWN_VERDICT, UNREACHABLE,
};
use super::{acting, batch, outcomes, shop};

/// Acts that are faults of a document, with the kind and a part of the reason.
const FAULTS: [(u8, FaultKind, &str); 13] = [
    (DOCUMENT_ERROR, FaultKind::Document, "not today"),
    (UNKNOWN_VERDICT, FaultKind::Output, "unknown verdict 7"),
    (NO_BSON, FaultKind::Output, "not BSON"),
    (OTHER_ID, FaultKind::Output, "changed the _id"),
    (OTHER_ID_TYPE, FaultKind::Output, "not BSON"),
    (TOO_LARGE, FaultKind::Output, "more than 16 MiB"),
    (NO_ID, FaultKind::Output, "without _id"),
    (
        UNREACHABLE,
        FaultKind::Trap(TrapKind::Panic),
        "panic (src/x.rs:1:)",
    ),
    (
        LOOP,
        FaultKind::Trap(TrapKind::Deadline),
        "deadline exceeded",
    ),
    (
        HOG,
        FaultKind::Trap(TrapKind::Memory),
        "memory limit exceeded",
    ),
    (RECURSE, FaultKind::Trap(TrapKind::Stack), "stack overflow"),
    (
        OUT_OF_BOUNDS,
        FaultKind::Trap(TrapKind::Other),
        "out of bounds",
    ),
    (
        MUCH_OUTPUT,
        FaultKind::Trap(TrapKind::Output),
        "output limit exceeded",
    ),
];

#[test]
fn quarantine_puts_the_document_aside_and_asks_again_for_the_others() {
    let (chain, of_shop) = acting(&[OnError::Quarantine]);
    for (act, kind, reason) in FAULTS {
        let acts = [KEEP, REPLACE, act, DROP, act, act, REPLACE];
        let before = batch(&acts);
        let transformed = of_shop.transform(&before).expect("all is put aside");
        for (act_of, outcome) in acts.iter().zip(transformed.outcomes()) {
            let Outcome::Quarantined(fault) = outcome else {
                assert_ne!(*act_of, act, "{reason}");
                continue;
            };
            assert_eq!((*act_of, fault.kind), (act, kind), "{reason}: {fault}");
            assert!(fault.reason.contains(reason), "{reason}: {fault}");
            assert_eq!(
                (fault.component.as_str(), fault.export),
                ("actor", "transform")
            );
            assert!(fault.digest.starts_with("sha256:"));
        }
        let words = outcomes(&of_shop, &acts).expect("the same again");
        assert_eq!(
            [&words[0], &words[1], &words[3], &words[6]],
            ["keep", "replaced", "drop", "replaced"],
            "{reason}"
        );
    }
    let metrics = &chain.metrics()[0];
    assert_eq!(metrics.quarantined, FAULTS.len() as u64 * 2 * 3);
    assert_eq!(metrics.documents, FAULTS.len() as u64 * 2 * 7);
    assert!(metrics.errors > 0 && metrics.traps > 0);
}

#[test]
fn stop_names_the_component_and_the_document_and_nothing_of_its_content() {
    let (_chain, of_shop) = acting(&[OnError::Stop]);
    // Only where no other replacement follows: the host would read that replacement instead.
    let short = (NO_REPLACEMENT, FaultKind::Output, "no replacement");
    for (act, kind, reason) in FAULTS.into_iter().chain([short]) {
        let error = outcomes(&of_shop, &[KEEP, REPLACE, act, DROP]).expect_err(reason);
        let name = match kind {
            FaultKind::Trap(_) => ErrorName::PluginTrapped,
            _ => ErrorName::PluginFailed,
        };
        assert_eq!(error.name, name, "{error}");
        for word in [
            "`transform`",
            "actor (sha256:",
            "shop.orders with the _id 2",
            reason,
        ] {
            assert!(error.message.contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn what_no_document_can_be_blamed_for_always_stops() {
    for policy in [OnError::Stop, OnError::Quarantine] {
        let (_chain, of_shop) = acting(&[policy]);
        for (act, reason) in [
            (FATAL, "not today"),
            (ONE_VERDICT_MORE, "3 verdicts for 2 documents"),
            (BYTES_LEFT, "bytes of replacements more"),
        ] {
            let error = outcomes(&of_shop, &[KEEP, act]).expect_err(reason);
            assert_eq!(error.name, ErrorName::PluginFailed);
            assert!(error.message.contains(reason), "{error}");
        }
    }
}

#[test]
fn a_trap_that_no_document_causes_alone_is_survived() {
    let (chain, of_shop) = acting(&[OnError::Stop]);
    let words = outcomes(&of_shop, &[NOT_IN_COMPANY, REPLACE, DROP]).expect("outcomes");
    assert_eq!(words, ["keep", "replaced", "drop"]);
    assert_eq!(chain.metrics()[0].traps, 1);
}

#[test]
fn the_id_is_shown_as_extended_json_and_cut() {
    let (_chain, of_shop) = acting(&[OnError::Stop]);
    // The guest reads the act from a byte of such an _id: the fourth, and the eighth.
    let text = format!("xxx\u{3}{}", "x".repeat(500));
    let mut oid = [7; 12];
    oid[7] = UNREACHABLE;
    for (id, shown) in [
        (
            bson::RawBson::String(text),
            format!("\"xxx\\u0003{}…,", "x".repeat(190)),
        ),
        (
            bson::RawBson::ObjectId(oid.into()),
            r#"{"$oid":"070707070707070307070707"},"#.to_owned(),
        ),
    ] {
        let document = rawdoc! { "_id": id, "secret": "content" }.into_bytes();
        let error = of_shop.transform(&document).expect_err("a trap");
        assert!(error.message.contains(&shown), "{error}");
        assert!(!error.message.contains("content"), "{error}");
        assert!(error.message.contains(&shop().to_string()), "{error}");
    }
}
