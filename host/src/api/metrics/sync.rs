//! Families of the sync.

use super::exposition::Exposition;
use super::family::{Counter, Family, Gauge, Histogram, Number, Unit};
use crate::model::{Progress, State};

const STATES: [State; 6] = [
    State::Idle,
    State::Running,
    State::Paused,
    State::Committing,
    State::Committed,
    State::Reversing,
];

const STATE: Family<Gauge, 1> = Family::new(
    "tidegate_state",
    Unit::One,
    "1 for the state of the sync, 0 for the others",
    ["state"],
);

const PHASE: Family<Gauge, 1> = Family::new(
    "tidegate_phase",
    Unit::One,
    "1, with the step of the work as a label, as info of /progress has it",
    ["phase"],
);

const LAG: Family<Gauge, 0> = Family::new(
    "tidegate_lag_seconds",
    Unit::Seconds,
    "Newest source cluster time minus newest applied; absent when not known, and after COMMITTED",
    [],
);

const CATCH_UP: Family<Gauge, 0> = Family::new(
    "tidegate_catch_up_seconds",
    Unit::Seconds,
    "Seconds until change event application has caught up; absent when not known",
    [],
);

const OPLOG_REMAINING: Family<Gauge, 0> = Family::new(
    "tidegate_oplog_remaining_seconds",
    Unit::Seconds,
    "Seconds for which the source's oplog will still hold the position; absent when not known",
    [],
);

const CAN_COMMIT: Family<Gauge, 0> = Family::new(
    "tidegate_can_commit",
    Unit::One,
    "1 when a commit would be accepted now",
    [],
);

const EVENTS_APPLIED: Family<Counter, 0> = Family::new(
    "tidegate_events_applied",
    Unit::One,
    "Change events that are applied",
    [],
);

const APPLY_DURATION: Family<Histogram, 0> = Family::new(
    "tidegate_apply_transaction_duration_seconds",
    Unit::Seconds,
    "Duration of transactions of change events on the destination, from the first statement to the commit",
    [],
);

const COPY_DURATION: Family<Histogram, 0> = Family::new(
    "tidegate_copy_batch_duration_seconds",
    Unit::Seconds,
    "Duration of batches of the copy on the destination, with the chain of plugins",
    [],
);

const COPIED: Family<Counter, 0> = Family::new(
    "tidegate_copy_bytes",
    Unit::Bytes,
    "Bytes of uncompressed documents that are copied",
    [],
);

const COPY_ESTIMATE: Family<Gauge, 0> = Family::new(
    "tidegate_copy_estimated_bytes",
    Unit::Bytes,
    "Bytes of uncompressed documents to copy, as estimated",
    [],
);

const COPIED_DOCUMENTS: Family<Counter, 0> = Family::new(
    "tidegate_copied_documents",
    Unit::One,
    "Documents that are copied",
    [],
);

const COMPARED: Family<Counter, 0> = Family::new(
    "tidegate_compared_bytes",
    Unit::Bytes,
    "Bytes of uncompressed documents that are compared with the source again",
    [],
);

const COMPARED_DOCUMENTS: Family<Counter, 0> = Family::new(
    "tidegate_compared_documents",
    Unit::One,
    "Documents that are compared with the source again",
    [],
);

const DIFFERENCES: Family<Counter, 0> = Family::new(
    "tidegate_different_documents",
    Unit::One,
    "Documents that a comparison has found missing, extra or different",
    [],
);

const RESYNC: Family<Gauge, 0> = Family::new(
    "tidegate_resync",
    Unit::One,
    "1 while all collections are compared after the source's oplog has lost the position",
    [],
);

const QUARANTINED: Family<Gauge, 0> = Family::new(
    "tidegate_quarantined_documents",
    Unit::One,
    "Documents that are in quarantine now",
    [],
);

const OVERSIZE_EVENTS: Family<Counter, 0> = Family::new(
    "tidegate_oversize_events",
    Unit::One,
    "Change events that came without their documents, which were looked up",
    [],
);

const THROTTLE_DELAY: Family<Gauge, 0> = Family::new(
    "tidegate_throttle_delay_seconds",
    Unit::Seconds,
    "Delay before a batch of the copy or a transaction of change events, for the load of a cluster; 0 for none",
    [],
);

const INDEXES_BUILT: Family<Gauge, 0> = Family::new(
    "tidegate_indexes_built",
    Unit::One,
    "Indexes that are built on the destination",
    [],
);

const INDEXES: Family<Gauge, 0> = Family::new(
    "tidegate_indexes_planned",
    Unit::One,
    "Indexes to build on the destination, with those that are built",
    [],
);

const WARNINGS: Family<Gauge, 0> = Family::new(
    "tidegate_warnings",
    Unit::One,
    "Warnings that /progress shows now",
    [],
);

/// Adds the numbers of the sync.
pub(super) fn expose(progress: &Progress, exposition: &mut Exposition) {
    expose_state(progress, exposition);
    expose_work(progress, exposition);
}

fn expose_state(progress: &Progress, exposition: &mut Exposition) {
    for state in STATES {
        let is_current = state == progress.state;
        exposition.add(&STATE, [&state.to_string()], is_current);
    }
    if let Some(info) = progress.info {
        exposition.add(&PHASE, [info], true);
    }
    exposition.add_if_known(&LAG, progress.lag_seconds);
    exposition.add_if_known(&CATCH_UP, progress.seconds_to_catch_up);
    exposition.add_if_known(&OPLOG_REMAINING, progress.oplog_seconds_remaining);
    exposition.add(&CAN_COMMIT, [], progress.cannot_commit.is_none());
}

fn expose_work(progress: &Progress, exposition: &mut Exposition) {
    let copy = &progress.copy;
    let estimate = copy.total_bytes.max(copy.copied_bytes);
    exposition.add(&EVENTS_APPLIED, [], progress.total_events_applied);
    exposition.add(&COPIED, [], copy.copied_bytes);
    exposition.add(&COPY_ESTIMATE, [], estimate);
    exposition.add(&COPIED_DOCUMENTS, [], copy.copied_documents);
    let comparison = &progress.comparison;
    exposition.add(&COMPARED, [], comparison.bytes);
    exposition.add(&COMPARED_DOCUMENTS, [], comparison.documents);
    exposition.add(&DIFFERENCES, [], comparison.differences);
    let resync = progress.resync.as_ref();
    exposition.add(&RESYNC, [], resync.is_some_and(|resync| !resync.done));
    exposition.add(&QUARANTINED, [], progress.quarantined);
    exposition.add(&OVERSIZE_EVENTS, [], progress.oversize_events);
    let delay_ms = progress
        .throttle
        .as_ref()
        .map_or(0, |slowed| slowed.delay_ms);
    exposition.add(&THROTTLE_DELAY, [], Number::seconds_of_us(delay_ms * 1_000));
    exposition.add(&WARNINGS, [], progress.warnings.len() as u64);
    exposition.add(&APPLY_DURATION, [], progress.apply_latency.clone());
    exposition.add(&COPY_DURATION, [], progress.copy_latency.clone());
    exposition.add(&INDEXES_BUILT, [], progress.indexes.built);
    exposition.add(&INDEXES, [], progress.indexes.total);
}
