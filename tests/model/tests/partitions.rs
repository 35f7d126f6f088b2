//! The state machine of documents.

mod common;

use common::{found, holds};
use protocol_model::partitions::{
    Event::{self, Create, Delete, Drop, Enter, Insert, Rename, Update},
    Fault, Partitions,
};

fn model(log: &[Event], losses: u8) -> Partitions {
    Partitions {
        log: log.to_vec(),
        together: 0,
        documents: vec![0],
        bounds: vec![2],
        split: false,
        hosts: 2,
        terms: 2,
        old_terms: 0,
        losses,
        marks: 0,
        rollovers: 0,
        regains: false,
        fault: None,
    }
}

#[test]
fn a_document_that_changes_and_goes() {
    holds(&model(&[Update(0), Delete(0)], 2));
}

#[test]
fn a_document_that_goes_and_comes_back() {
    holds(&model(&[Delete(0), Insert(0), Update(0)], 1));
}

#[test]
fn two_documents_of_a_partition() {
    holds(&Partitions {
        documents: vec![0, 1],
        ..model(&[Update(0), Delete(1)], 1)
    });
}

#[test]
fn two_partitions() {
    holds(&Partitions {
        documents: vec![0, 1],
        bounds: vec![1, 2],
        hosts: 1,
        terms: 1,
        ..model(&[Update(0), Delete(1)], 1)
    });
}

#[test]
fn events_of_one_time() {
    holds(&Partitions {
        together: 2,
        ..model(&[Update(0), Update(0), Update(0)], 1)
    });
}

#[test]
fn a_split() {
    holds(&Partitions {
        documents: vec![0, 1],
        bounds: vec![3],
        split: true,
        hosts: 1,
        terms: 1,
        ..model(&[Update(1), Insert(2)], 1)
    });
}

#[test]
fn a_split_and_a_recopy() {
    holds(&Partitions {
        split: true,
        marks: 1,
        hosts: 1,
        terms: 1,
        ..model(&[Insert(1), Delete(1)], 1)
    });
}

#[test]
fn a_recopy() {
    holds(&Partitions {
        marks: 1,
        ..model(&[Update(0), Delete(0)], 1)
    });
}

#[test]
fn two_recopies() {
    holds(&Partitions {
        marks: 2,
        ..model(&[Delete(0)], 2)
    });
}

#[test]
fn a_resync() {
    holds(&Partitions {
        rollovers: 1,
        ..model(&[Update(0), Delete(0)], 1)
    });
}

#[test]
fn two_resyncs() {
    holds(&Partitions {
        rollovers: 2,
        ..model(&[Delete(0), Insert(0)], 1)
    });
}

#[test]
fn a_rename() {
    holds(&model(&[Update(0), Rename, Delete(0)], 1));
}

#[test]
fn a_drop_and_a_new_collection() {
    holds(&model(&[Delete(0), Drop, Create, Insert(2)], 1));
}

#[test]
fn a_collection_that_comes_into_scope() {
    holds(&Partitions {
        documents: vec![2],
        ..model(&[Update(2), Enter, Update(2)], 1)
    });
}

#[test]
fn a_resync_over_a_drop() {
    holds(&Partitions {
        rollovers: 1,
        regains: true,
        ..model(&[Update(0), Drop, Create], 1)
    });
}

#[test]
fn a_copy_of_version_3() {
    holds(&Partitions {
        terms: 3,
        old_terms: 2,
        ..model(&[Update(0), Delete(0)], 2)
    });
}

#[test]
fn a_copy_of_version_3_and_a_recopy() {
    holds(&Partitions {
        old_terms: 1,
        marks: 1,
        ..model(&[Update(0), Delete(0)], 1)
    });
}

#[test]
fn a_copy_of_version_3_and_a_resync() {
    holds(&Partitions {
        old_terms: 1,
        rollovers: 1,
        ..model(&[Update(0), Delete(0)], 1)
    });
}

#[test]
fn two_partitions_and_a_resync() {
    holds(&Partitions {
        documents: vec![0, 1],
        bounds: vec![1, 2],
        hosts: 1,
        terms: 1,
        rollovers: 1,
        ..model(&[Update(0), Delete(1)], 1)
    });
}

/// A test for each fault, with the smallest bounds that find it.
macro_rules! faults {
    ($($name:ident: $fault:ident, [$($event:expr),*], $losses:expr $(, $field:ident: $value:expr)*;)*) => {$(
        #[test]
        fn $name() {
            found(&Partitions {
                fault: Some(Fault::$fault),
                $($field: $value,)*
                ..model(&[$($event),*], $losses)
            });
        }
    )*};
}

faults! {
    begun_after_the_first_insert: BegunTooLate, [Update(0)], 1;
    in_work_is_unseen_after_a_restart: InWorkIsUnseen, [Update(0)], 1;
    begin_is_no_critical_section: BeginIsNoCriticalSection, [Update(0)], 0;
    read_before_t0: ReadBeforeSince, [Update(0)], 0;
    passed_over_in_work: PassedOverInWork, [Update(0)], 0;
    applied_unseen: AppliedUnseen, [Update(0)], 0;
    until_before_reads: UntilBeforeReads, [Update(0)], 0;
    until_is_not_persisted: UntilNotPersisted, [Update(0)], 1;
    until_is_forgotten_at_an_equal_time: UntilForgottenAtEqualTime, [Update(0), Update(0)], 0, together: 2;
    deltas_up_to_until: DeltasUpToUntil, [Update(0)], 0;
    parked_keys_are_not_persisted: ParkedNotPersisted, [Update(0)], 1;
    intent_without_parked_keys: IntentWithoutParked, [Update(0), Rename], 1;
    look_ups_under_way_are_not_persisted: HandedForgotten, [Update(0)], 1;
    parked_keys_are_removed_early: ParkedRemovedEarly, [Update(0)], 1;
    parked_keys_are_not_looked_up: ParkedNotLookedUp, [Update(0)], 0;
    look_up_is_overtaken: LookUpOvertaken, [Update(0), Update(0)], 0;
    look_up_at_any_time: LookUpAtAnyTime, [Update(0)], 0;
    parked_keys_are_not_located: ParkedNotLocated, [Update(0)], 1;
    parked_keys_of_done_are_dropped: ParkedOfDoneDropped, [Update(0)], 1;
    done_after_the_position: DoneAfterPosition, [Delete(0)], 1;
    done_without_differences: DoneWithoutDifferences, [Update(0)], 1, marks: 1;
    comparison_writes: ComparisonWrites, [Update(0), Update(0)], 1, marks: 1;
    comparison_of_an_earlier_state: ComparisonOfAnEarlierState, [Insert(1), Delete(1)], 0, marks: 1;
    empty_range_is_copied_though_suspect: EmptyThoughSuspect, [Update(0)], 1, marks: 1;
    mark_with_a_round_under_way: MarkUndrained, [Insert(1), Delete(1)], 0, marks: 1;
    mark_with_an_insert_under_way: MarkKeepsWorker, [Delete(0)], 0, marks: 1;
    mark_keeps_the_progress: MarkKeepsProgress, [Update(0)], 0, marks: 1;
    mark_keeps_the_work: MarkKeepsWork, [Update(0)], 0, marks: 1;
    mark_forgets_suspect: MarkForgetsSuspect, [Delete(0)], 1, marks: 1;
    mark_keeps_look_ups: MarkKeepsLookUps, [Update(0), Delete(0)], 0, marks: 1;
    mark_without_compare: MarkWithoutCompare, [Update(0)], 0, marks: 1;
    parked_keys_are_dropped_before_the_mark: ParkedDroppedBeforeMark, [Update(0)], 1, marks: 1;
    lost_reply_forgotten: LostReplyForgotten, [Delete(0)], 1;
    greatest_before_t0: GreatestBeforeSince, [Insert(1)], 0, split: true;
    greatest_is_not_looked_up: GreatestNotLookedUp, [], 0, split: true;
    greatest_is_not_persisted: GreatestNotPersisted, [], 1, split: true;
    parked_keys_above_are_forgotten: ParkedAboveForgotten, [Insert(1)], 0, split: true;
    split_while_comparing: SplitWhileComparing, [Delete(0)], 1, split: true, marks: 1;
    resync_persists_the_position_first: ResyncPositionFirst, [Update(0)], 1, rollovers: 1;
    resync_with_a_later_position: ResyncPositionLater, [Delete(0), Drop], 0, rollovers: 1;
    resync_is_not_persisted: ResyncNotPersisted, [Update(0), Drop], 1, rollovers: 1, regains: true;
    ddl_with_an_insert_under_way: DdlKeepsWorker, [Rename], 0;
    insert_by_name: InsertByName, [Drop, Create], 1;
    entered_collection_is_ready: EnteredIsReady, [Enter], 0, documents: vec![2];
    version_3_begun_alone: OldBegunAlone, [Update(0)], 1, old_terms: 1;
    version_3_suspect_is_unseen: OldSuspectIsUnseen, [Update(0)], 2, terms: 3, old_terms: 2;
    version_3_then_deltas: OldDeltas, [Update(0)], 0, old_terms: 1;
    commit_waits_for_the_position_alone: CommitByPosition, [], 0;
    suspect_is_not_compared: SuspectNotCompared, [Delete(0)], 1;
}
