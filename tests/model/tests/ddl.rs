//! DDL and takeover.

mod common;

use common::{found, holds};
use protocol_model::ddl::{
    A, B, C, Ddl,
    Event::{self, Create, Drop, Rename, Write},
    Fault,
};

const THERE_AND_BACK: [Event; 4] = [Write(0), Rename(0, B), Rename(0, A), Write(0)];
const NAME_TAKEN: [Event; 4] = [Rename(0, B), Create(1, A), Rename(0, C), Write(1)];
const DROPPED: [Event; 4] = [Write(0), Drop(0), Create(1, A), Write(1)];

fn model(log: [Event; 4]) -> Ddl {
    Ddl {
        log: log.to_vec(),
        hosts: 2,
        terms: 3,
        losses: 3,
        fault: None,
    }
}

#[test]
fn a_rename_there_and_back() {
    holds(&model(THERE_AND_BACK));
}

#[test]
fn a_name_that_another_collection_takes() {
    holds(&model(NAME_TAKEN));
}

#[test]
fn a_drop_and_a_collection_of_the_same_name() {
    holds(&model(DROPPED));
}

/// A test for each fault, with the log that shows it.
macro_rules! faults {
    ($($name:ident: $fault:ident, $log:expr;)*) => {$(
        #[test]
        fn $name() {
            let fault = Some(Fault::$fault);
            found(&Ddl { fault, losses: 2, ..model($log) });
        }
    )*};
}

faults! {
    no_intent: NoIntent, DROPPED;
    intent_without_position: IntentWithoutPosition, DROPPED;
    record_before_the_effect: RecordBeforeEffect, NAME_TAKEN;
    record_without_a_guard: RecordUnguarded, THERE_AND_BACK;
    rename_by_name: ByName, NAME_TAKEN;
    in_flight_intents_of_older_terms_forgotten: InFlightForgotten, NAME_TAKEN;
    unknown_outcome_within_a_term_forgotten: UnknownForgotten, THERE_AND_BACK;
    dropped_work_is_no_takeover: OnlyTakeovers, THERE_AND_BACK;
    intent_redone_without_a_guard: RedoneUnguarded, NAME_TAKEN;
    names_not_compared_at_commit: NotComparedAtCommit, THERE_AND_BACK;
}

/// The limit of a comparison.
#[test]
fn a_rename_after_commit_is_not_excluded() {
    found(&Ddl {
        fault: Some(Fault::LateAfterCommit),
        ..model(THERE_AND_BACK)
    });
}
