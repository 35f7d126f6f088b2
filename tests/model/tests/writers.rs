//! Writers and takeover.

mod common;

use common::{found, holds};
use protocol_model::writers::{Fault, Writers};

const MODEL: Writers = Writers {
    hosts: 2,
    terms: 2,
    events: 2,
    losses: 2,
    roll_backs: 0,
    bump: true,
    fault: None,
};

#[test]
fn three_losses() {
    holds(&Writers { losses: 3, ..MODEL });
}

#[test]
fn three_terms() {
    holds(&Writers { terms: 3, ..MODEL });
}

#[test]
fn three_hosts() {
    holds(&Writers {
        hosts: 3,
        terms: 3,
        losses: 1,
        ..MODEL
    });
}

#[test]
fn a_roll_back_and_two_losses() {
    holds(&Writers {
        roll_backs: 1,
        ..MODEL
    });
}

/// Safety does not rest on the bump.
#[test]
fn a_counter_that_is_only_read() {
    holds(&Writers {
        bump: false,
        ..MODEL
    });
    holds(&Writers {
        bump: false,
        losses: 1,
        roll_backs: 1,
        ..MODEL
    });
}

/// A test for each fault, with the smallest bounds that find it: events, losses, roll-backs.
macro_rules! faults {
    ($($name:ident: $fault:ident, $events:expr, $losses:expr, $roll_backs:expr;)*) => {$(
        #[test]
        fn $name() {
            found(&Writers {
                events: $events,
                losses: $losses,
                roll_backs: $roll_backs,
                fault: Some(Fault::$fault),
                ..MODEL
            });
        }
    )*};
}

faults! {
    no_raise_before_the_first_write: NoRaise, 1, 2, 0;
    raise_without_majority: RaiseNotMajority, 1, 1, 1;
    lease_without_majority: LeaseNotMajority, 1, 1, 1;
    bump_that_is_unconditional: BumpUnconditional, 1, 2, 0;
    guard_that_is_only_read: GuardOnlyRead, 1, 2, 0;
    counter_not_in_the_filter: CounterNotInFilter, 1, 2, 0;
    commit_without_majority: CommitNotMajority, 1, 1, 1;
    unknown_commit_guessed_as_done: UnknownIsDone, 1, 2, 0;
    unknown_commit_guessed_as_not_done: UnknownIsNotDone, 1, 2, 0;
    unknown_commit_resolved_by_a_local_read: ResolvedByLocalRead, 1, 1, 1;
    batch_built_again_while_its_commit_is_unknown: RebuiltWhileUnknown, 2, 2, 0;
    statement_sent_again_inside_its_transaction: StatementRepeated, 1, 2, 0;
    deltas_after_a_takeover: DeltasAfterTakeover, 1, 2, 0;
    source_time_read_before_the_raise: TimeBeforeRaise, 1, 2, 0;
}
