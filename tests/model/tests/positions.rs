//! Rounds, positions and takeover.

mod common;

use common::{found, holds};
use protocol_model::{
    positions::{Fault, Positions},
    source::Event::{self, Delete, Insert, Update},
};

fn model(log: &[Event], losses: u8) -> Positions {
    Positions {
        log: log.to_vec(),
        hosts: 2,
        terms: 2,
        losses,
        fault: None,
    }
}

#[test]
fn two_documents_and_two_losses() {
    holds(&model(&[Update(0), Insert(1)], 2));
}

#[test]
fn two_updates_of_a_document_and_two_losses() {
    holds(&model(&[Update(0), Update(0)], 2));
}

#[test]
fn three_events_and_a_loss() {
    holds(&model(&[Insert(1), Update(1), Delete(1)], 1));
}

/// A test for each fault, with the smallest bounds that find it.
macro_rules! faults {
    ($($name:ident: $fault:ident, [$($event:expr),*], $losses:expr;)*) => {$(
        #[test]
        fn $name() {
            let fault = Some(Fault::$fault);
            found(&Positions { fault, ..model(&[$($event),*], $losses) });
        }
    )*};
}

faults! {
    position_before_the_round_is_durable: PositionBeforeRound, [Update(0), Insert(1)], 1;
    position_of_the_applier_ahead: PositionOfTheFastest, [Update(0), Insert(1)], 1;
    one_guard_of_two_is_raised: OneGuardRaised, [Insert(1), Update(1)], 1;
    position_is_read_before_the_raise: PositionBeforeRaise, [Update(0), Update(0)], 2;
    deltas_after_a_crash: DeltasAfterCrash, [Update(0), Update(0)], 1;
    clean_mark_is_not_taken_back: CleanNotTakenBack, [Update(0), Update(0)], 2;
    look_ups_are_forgotten_by_a_clean_stop: LookUpsForgotten, [Update(0), Update(0)], 2;
    counter_is_not_in_the_filter_of_the_position: CounterNotInFilter, [Update(0), Update(0)], 2;
    looked_up_document_is_not_passed_over: LookUpNotPassedOver, [Update(0), Update(0)], 2;
}
