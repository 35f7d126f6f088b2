//! The copy, suspect partitions and commit.

mod common;

use common::{found, holds};
use protocol_model::{
    copy::{Copy, Fault},
    source::Event::{self, Delete, Insert, Update},
};

fn model(log: &[Event], terms: u8) -> Copy {
    Copy {
        log: log.to_vec(),
        hosts: 2,
        terms,
        losses: 2,
        fault: None,
    }
}

#[test]
fn a_document_that_is_deleted() {
    holds(&model(&[Delete(0)], 3));
}

#[test]
fn a_document_that_is_deleted_and_back() {
    holds(&model(&[Delete(0), Insert(0), Update(0)], 3));
}

#[test]
fn a_document_that_comes_and_goes() {
    holds(&model(&[Insert(1), Update(0), Delete(1)], 3));
}

/// A test for each fault, with the log that shows it.
macro_rules! faults {
    ($($name:ident: $fault:ident, [$($event:expr),*];)*) => {$(
        #[test]
        fn $name() {
            let fault = Some(Fault::$fault);
            found(&Copy { fault, ..model(&[$($event),*], 2) });
        }
    )*};
}

faults! {
    begun_after_the_first_insert: BegunTooLate, [Delete(0)];
    suspect_in_memory_until_done: SuspectInMemory, [Delete(0)];
    dropped_work_is_no_takeover: OnlyTakeovers, [Delete(0)];
    lost_reply_forgotten: LostReplyForgotten, [Delete(0)];
    done_clears_suspect: DoneClearsSuspect, [Delete(0)];
    suspect_partitions_not_compared: SuspectNotCompared, [Delete(0)];
    insert_replaces_what_it_finds: InsertReplaces, [Update(0), Update(0)];
    deltas_after_a_takeover: DeltasAfterTakeover, [Update(0), Update(0)];
}

/// The limit of a comparison.
#[test]
fn an_insert_after_commit_is_not_excluded() {
    found(&Copy {
        fault: Some(Fault::LateAfterCommit),
        ..model(&[Delete(0)], 2)
    });
}
