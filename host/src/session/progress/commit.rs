//! The conditions of a commit, and the lag of a sync.

use super::{
    deadline::{ClusterLabel, silent},
    monitor::Monitor,
};
use crate::{
    metadata::Phase,
    session::active::{ActiveSync, state::SyncState},
    sync::Activity,
};

/// The largest lag at which a commit is allowed, in seconds (mongosync's documentation of `canCommit`).
const MAX_COMMIT_LAG_SECONDS: u32 = 30;

/// The reason why a commit is impossible now. `None` if it is possible.
pub(crate) fn cannot_commit(active: &ActiveSync, monitor: &Monitor) -> Option<String> {
    let session = active.record.get();
    let state = active.state();
    if let Some(reason) = state.reason() {
        return Some(format!("The work has stopped: {reason}"));
    }
    if !matches!(state, SyncState::Running) {
        return Some(format!("The state is {}.", state.public()));
    }
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    let step = active.status.activity();
    if session.phase < Phase::ChangeEventApplication {
        Some("The initial sync is running.".to_owned())
    } else if let Some(silence) = silent(monitor, clusters) {
        Some(silence)
    } else if session.is_resyncing() {
        Some(
            "All collections are compared with the source after its oplog has lost the position."
                .to_owned(),
        )
    } else if step == Activity::Recopy || !session.recopy.is_empty() {
        Some("Collections are copied again after a swap.".to_owned())
    } else if step != Activity::ChangeEventApplication {
        Some("The work is starting.".to_owned())
    } else {
        lags(lag_seconds(active, monitor))
    }
}

/// The reason why this lag prevents a commit.
fn lags(lag_seconds: Option<u32>) -> Option<String> {
    match lag_seconds {
        None => Some("No change event position is known yet.".to_owned()),
        Some(lag) if lag > MAX_COMMIT_LAG_SECONDS => Some(format!(
            "The lag is {lag} seconds, more than {MAX_COMMIT_LAG_SECONDS}."
        )),
        Some(_) => None,
    }
}

/// The lag in seconds of source time: from the newest applied event to the newest write, or to the commit time
/// after `commit`. `None` while a cluster is silent, and while no events are applied.
pub(crate) fn lag_seconds(active: &ActiveSync, monitor: &Monitor) -> Option<u32> {
    let is_known = monitor.silence(active.destination.name).is_none()
        && monitor.newest(active.source.name).is_some();
    match active.state() {
        SyncState::Running if is_known => monitor.lag_seconds(active.source.name),
        SyncState::Committing if is_known => {
            let Some(commit_time) = active.record.get().commit_time else {
                return monitor.lag_seconds(active.source.name);
            };
            Some(active.applied()?.seconds_behind(commit_time))
        }
        _ => None,
    }
}
