//! The progress at a standby: the persisted session, the copied amounts and the position.
//!
//! A silent destination does not block `/progress`: the last reading is shown, with its age.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::{
    persisted_sync::PersistedSync,
    standby::{Standby, StandbyReason},
};
use crate::{
    metadata::{self, CopyTotals, Phase, PositionDocument, SessionSummary},
    model::{Progress, State, progress::CopyProgress},
    mongo::{self, Moment},
    session::{
        context::HostContext,
        progress::{self, deadline::seconds, monitor::Monitor},
    },
};

/// Time that `/progress` waits for the destination.
const READ_WITHIN: Duration = Duration::from_millis(800);

/// The persisted state of a sync at one moment.
#[derive(Clone)]
struct SyncSnapshot {
    at: Moment,
    summary: SessionSummary,
    copied: CopyTotals,
    position: Option<PositionDocument>,
}

/// The last reading of the sync at a standby.
#[derive(Default)]
pub(crate) struct StandbyView(Mutex<Option<Arc<SyncSnapshot>>>);

impl StandbyView {
    /// Reads the sync. Returns the last reading, and the reason if it is not new.
    async fn read(
        &self,
        monitor: &Monitor,
        persisted: &PersistedSync,
    ) -> (Option<Arc<SyncSnapshot>>, Option<String>) {
        let name = persisted.destination.name;
        if monitor.silence(name).is_some() {
            return (self.last(), Some(format!("{} is silent", name.as_str())));
        }
        let error = match timeout(READ_WITHIN, read(&persisted.reader)).await {
            Ok(Ok(latest)) => {
                *self.0.lock() = latest.map(Arc::new);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(format!("{} does not answer", name.as_str())),
        };
        (self.last(), error)
    }

    fn last(&self) -> Option<Arc<SyncSnapshot>> {
        self.0.lock().clone()
    }
}

async fn read(reader: &metadata::Reader) -> Result<Option<SyncSnapshot>, mongo::Error> {
    let Some(summary) = reader.summary().await? else {
        return Ok(None);
    };
    let (copied, position) = reader.copy_and_position(summary.metadata_version).await?;
    Ok(Some(SyncSnapshot {
        at: Moment::now(),
        summary,
        copied,
        position,
    }))
}

/// The progress at a standby, from the metadata.
pub(crate) async fn snapshot(
    context: &HostContext,
    view: &StandbyView,
    standby: &Standby,
) -> Progress {
    let monitor = &context.monitor;
    let (latest, error) = view.read(monitor, &standby.sync).await;
    let mut progress = progress::idle(&context.settings.id, &context.registry);
    progress.cannot_commit = Some(standby.reason.sentence());
    progress.warnings = standby.warnings();
    if let StandbyReason::LeaseHeld(lease) = &standby.reason {
        progress.coordinator_id.clone_from(&lease.instance);
        progress.lease = Some(progress::lease(lease));
    }
    if let Some(error) = error {
        let age = latest.as_ref().map(|latest| latest.at.elapsed());
        progress.warnings.push(stale(&error, age));
    }
    match latest {
        Some(latest) => show(monitor, standby, &latest, &mut progress),
        None => show_header(monitor, standby, &mut progress),
    }
    progress
}

fn stale(error: &str, age: Option<Duration>) -> String {
    match age {
        Some(age) => format!(
            "The metadata of the sync cannot be read: {error}. The values were read {} ago.",
            seconds(age)
        ),
        None => format!("The metadata of the sync cannot be read: {error}."),
    }
}

/// Fills in the values that are known before the first reading.
fn show_header(monitor: &Monitor, standby: &Standby, progress: &mut Progress) {
    let PersistedSync {
        source,
        destination,
        header,
        ..
    } = &standby.sync;
    // A state of a later release describes no work of this one.
    let state = header.known_state().unwrap_or(State::Paused);
    progress.state = shown(state, standby);
    progress.can_write = state == State::Committed;
    progress.source = progress::endpoint(monitor, source.name);
    progress.destination = progress::endpoint(monitor, destination.name);
    progress.upgrade.metadata_version = Some(header.metadata_version);
}

/// Without an active host, persisted RUNNING and COMMITTING do not describe any work.
fn shown(state: State, standby: &Standby) -> State {
    match state {
        State::Running | State::Committing if standby.is_free() => State::Paused,
        state => state,
    }
}

fn show(monitor: &Monitor, standby: &Standby, latest: &SyncSnapshot, progress: &mut Progress) {
    let (summary, copied) = (&latest.summary, latest.copied);
    progress.state = shown(summary.state, standby);
    progress.can_write = summary.state == State::Committed;
    progress.info = Some(match (progress.state, summary.phase) {
        (State::Paused, _) => "paused",
        (_, Phase::CollectionCopy) => "collection copy",
        (_, Phase::IndexBuild) => "index building",
        (State::Committing, Phase::ChangeEventApplication) => "waiting for commit to complete",
        (_, Phase::ChangeEventApplication) => "change event application",
        (_, Phase::Restore) => "restoring unique, TTL, hidden and capped settings",
        (_, Phase::Unblock) => "lifting the write block of the destination",
        (_, Phase::Done) => "commit completed",
    });
    progress.copy = CopyProgress {
        total_bytes: u64::try_from(summary.total_bytes)
            .unwrap_or_default()
            .max(1),
        copied_bytes: u64::try_from(copied.bytes).unwrap_or_default(),
        copied_documents: u64::try_from(copied.documents).unwrap_or_default(),
    };
    if let Some(position) = &latest.position {
        progress.safe = Some(position.safe.cluster_time);
        progress.total_events_applied = u64::try_from(position.events_applied).unwrap_or_default();
    }
    progress.source = progress::endpoint(monitor, summary.options.source);
    progress.destination = progress::endpoint(monitor, summary.options.destination);
    progress.warnings.extend(summary.warnings.iter().cloned());
    progress.upgrade = progress::upgrade(summary.metadata_version, summary.upgrades.clone());
}
