//! Items of work that a leader assigns to other hosts.

mod common;

use common::{found, holds};
use protocol_model::{
    items::{Fault, Items},
    source::Event::{self, Delete, Insert, Update},
};

fn model(log: &[Event]) -> Items {
    Items {
        log: log.to_vec(),
        hosts: 2,
        terms: 2,
        assignments: 2,
        copies_again: 0,
        losses: 1,
        earlier_release: None,
        fault: None,
    }
}

#[test]
fn a_document_that_is_deleted() {
    holds(&model(&[Delete(0)]));
}

#[test]
fn two_losses() {
    holds(&Items {
        losses: 2,
        ..model(&[Delete(0)])
    });
}

#[test]
fn a_document_that_is_deleted_and_back() {
    holds(&Items {
        assignments: 1,
        ..model(&[Delete(0), Insert(0)])
    });
}

#[test]
fn a_document_that_comes_and_goes() {
    holds(&Items {
        terms: 1,
        ..model(&[Insert(1), Update(0), Delete(1)])
    });
}

#[test]
fn updates_beside_two_assignments() {
    holds(&Items {
        terms: 1,
        ..model(&[Update(0), Update(0)])
    });
}

#[test]
fn an_earlier_release_leads_in_between() {
    holds(&Items {
        terms: 3,
        assignments: 1,
        losses: 0,
        earlier_release: Some(1),
        ..model(&[Delete(0)])
    });
}

#[test]
fn a_collection_that_is_copied_again() {
    holds(&Items {
        copies_again: 1,
        losses: 0,
        ..model(&[Update(0)])
    });
}

#[test]
fn three_hosts() {
    holds(&Items {
        hosts: 3,
        losses: 0,
        ..model(&[Delete(0)])
    });
}

/// A test for each fault, with the log that shows it.
macro_rules! faults {
    ($($name:ident: $fault:ident, [$($event:expr),*];)*) => {$(
        #[test]
        fn $name() {
            let fault = Some(Fault::$fault);
            found(&Items { fault, ..model(&[$($event),*]) });
        }
    )*};
}

faults! {
    begun_after_the_first_insert: BegunTooLate, [Delete(0)];
    taken_away_and_not_suspect: TakenAwayNotSuspect, [Delete(0)];
    taken_over_and_not_suspect: TakeoverNotSuspect, [Delete(0)];
    taken_away_and_unseen_again: TakenAwayIsUnseen, [Update(0)];
    reads_before_the_begin: ReadsBeforeBegin, [Update(0)];
    end_before_the_reads: EndBeforeReads, [Update(0), Update(0)];
    lost_reply_forgotten: LostReplyForgotten, [Delete(0)];
    leader_without_a_guard: LeaderUnguarded, [Update(0)];
    assignment_that_is_begun_twice: BegunTwice, [Delete(0)];
    item_of_a_silent_worker: NeverTakenAway, [Update(0)];
}

/// A report is true until the collection is another: the rules of the token are about that.
#[test]
fn report_without_its_token() {
    found(&Items {
        copies_again: 1,
        losses: 0,
        fault: Some(Fault::ReportUnconditional),
        ..model(&[])
    });
}

#[test]
fn token_used_twice() {
    found(&Items {
        copies_again: 1,
        losses: 0,
        fault: Some(Fault::TokenUsedTwice),
        ..model(&[])
    });
}
