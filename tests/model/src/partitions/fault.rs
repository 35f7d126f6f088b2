//! Rules of the protocol that a check leaves out.

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// "In work" is not persisted before the first insert.
    BegunTooLate,
    /// A restart finds a partition in work as unseen.
    InWorkIsUnseen,
    /// Between the choice of T0 and the change of the state, events are decided.
    BeginIsNoCriticalSection,
    /// A partition is read at any time, also before T0.
    ReadBeforeSince,
    /// Events of a partition in work are passed over.
    PassedOverInWork,
    /// Events of an unseen partition are applied.
    AppliedUnseen,
    /// F is T0, which is before the last read.
    UntilBeforeReads,
    /// F is not persisted.
    UntilNotPersisted,
    /// F is forgotten when an event of that time has been decided, and not when a later one has.
    UntilForgottenAtEqualTime,
    /// Updates up to F are deltas.
    DeltasUpToUntil,
    /// Parked keys are not persisted with the position.
    ParkedNotPersisted,
    /// Parked keys are not persisted with the exact position before a DDL event.
    IntentWithoutParked,
    /// Keys whose look-ups have begun are not persisted any more.
    HandedForgotten,
    /// Parked keys are removed when the look-ups begin.
    ParkedRemovedEarly,
    /// Parked keys of a partition that is done are not looked up.
    ParkedNotLookedUp,
    /// Later events of a document are applied before its look-up.
    LookUpOvertaken,
    /// Look-ups read at any time, also before the events that have been decided.
    LookUpAtAnyTime,
    /// After a restart, parked keys are not located again.
    ParkedNotLocated,
    /// After a restart, parked keys of a done partition are dropped.
    ParkedOfDoneDropped,
    /// The position passes events that were applied to a done partition before `done` is persisted.
    DoneAfterPosition,
    /// Differences are not persisted with `done`.
    DoneWithoutDifferences,
    /// A comparing partition writes what differs, without a guard.
    ComparisonWrites,
    /// A comparison reads the destination as it was before the last write.
    ComparisonOfAnEarlierState,
    /// A comparing partition of which the destination has nothing is copied, although inserts may still arrive.
    EmptyThoughSuspect,
    /// A mark does not wait for the rounds.
    MarkUndrained,
    /// A mark does not wait for the worker's insert.
    MarkKeepsWorker,
    /// A mark keeps how far the partition was.
    MarkKeepsProgress,
    /// A mark lets a partition in work go on, with the old T0.
    MarkKeepsWork,
    /// A mark forgets that a partition is suspect.
    MarkForgetsSuspect,
    /// A mark leaves the time of look-ups in memory, up to which events are passed over.
    MarkKeepsLookUps,
    /// A marked partition is copied, not compared.
    MarkWithoutCompare,
    /// Parked keys are dropped before the mark.
    ParkedDroppedBeforeMark,
    /// An insert whose answer was lost does not make its partition suspect.
    LostReplyForgotten,
    /// The greatest document is read at any time, also before T0.
    GreatestBeforeSince,
    /// The greatest document is not looked up.
    GreatestNotLookedUp,
    /// The greatest document is not persisted as parked with the split.
    GreatestNotPersisted,
    /// Parked keys above the greatest are forgotten.
    ParkedAboveForgotten,
    /// A comparing partition is split.
    SplitWhileComparing,
    /// The new position is persisted before the marks of a resync.
    ResyncPositionFirst,
    /// The new position of a resync is later than its catalog.
    ResyncPositionLater,
    /// A resync is not persisted before it changes the catalog.
    ResyncNotPersisted,
    /// A DDL event does not wait for the worker's insert.
    DdlKeepsWorker,
    /// Inserts name no UUID.
    InsertByName,
    /// A collection that comes into scope is ready at once.
    EnteredIsReady,
    /// Of version 3, only ranges with `begun` are in work.
    OldBegunAlone,
    /// Of version 3, only ranges with `begun` or a last `_id` are in work.
    OldSuspectIsUnseen,
    /// Events after a takeover from version 3 are deltas at once.
    OldDeltas,
    /// Commit waits for the position alone.
    CommitByPosition,
    /// `_id`s of suspect partitions are not compared at commit.
    SuspectNotCompared,
}
