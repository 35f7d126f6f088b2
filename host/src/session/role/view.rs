//! What `/progress` shows at a standby: the persisted session, how much is copied, the position.
//!
//! A destination that is silent does not stop `/progress`: what was read last is shown, with its age.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::{
    persisted::Found,
    standby::{Standby, Why},
};
use crate::{
    metadata::{self, Copied, Phase, PositionDocument, Standing},
    model::{Progress, State, progress::CopyProgress},
    mongo::{self, Moment},
    session::{
        context::HostContext,
        progress::{self, monitor::Monitor, patience::seconds},
    },
};

/// How long `/progress` waits for the destination.
const READ_WITHIN: Duration = Duration::from_millis(800);

/// What was read at one moment.
#[derive(Clone)]
struct Sight {
    at: Moment,
    standing: Standing,
    copied: Copied,
    position: Option<PositionDocument>,
}

#[derive(Default)]
pub(crate) struct View(Mutex<Option<Arc<Sight>>>);

impl View {
    /// Reads the sync, and gives what was read last; the second value says why that is not new.
    async fn read(&self, monitor: &Monitor, found: &Found) -> (Option<Arc<Sight>>, Option<String>) {
        let name = found.destination.name;
        if monitor.silence(name).is_some() {
            return (self.last(), Some(format!("{} is silent", name.as_str())));
        }
        let fault = match timeout(READ_WITHIN, read(&found.reader)).await {
            Ok(Ok(sight)) => {
                *self.0.lock() = sight.map(Arc::new);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(format!("{} does not answer", name.as_str())),
        };
        (self.last(), fault)
    }

    fn last(&self) -> Option<Arc<Sight>> {
        self.0.lock().clone()
    }
}

async fn read(reader: &metadata::Reader) -> Result<Option<Sight>, mongo::Error> {
    let Some(standing) = reader.standing().await? else {
        return Ok(None);
    };
    let (copied, position) = reader.shown(standing.metadata_version).await?;
    Ok(Some(Sight {
        at: Moment::now(),
        standing,
        copied,
        position,
    }))
}

/// What `/progress` shows at a standby: what is persisted.
pub(crate) async fn snapshot(context: &HostContext, view: &View, standby: &Standby) -> Progress {
    let monitor = &context.monitor;
    let (sight, fault) = view.read(monitor, &standby.found).await;
    let mut progress = progress::idle(&context.settings.id, &context.registry);
    progress.cannot_commit = Some(standby.why.sentence());
    progress.warnings = standby.warnings();
    if let Why::Held(lease) = &standby.why {
        progress.coordinator_id.clone_from(&lease.instance);
        progress.lease = Some(progress::lease(lease));
    }
    if let Some(fault) = fault {
        let age = sight.as_ref().map(|sight| sight.at.elapsed());
        progress.warnings.push(stale(&fault, age));
    }
    match sight {
        Some(sight) => show(monitor, standby, &sight, &mut progress),
        None => show_heading(monitor, standby, &mut progress),
    }
    progress
}

fn stale(fault: &str, age: Option<Duration>) -> String {
    match age {
        Some(age) => format!(
            "What is persisted of the sync cannot be read: {fault}. What is shown was read {} ago.",
            seconds(age)
        ),
        None => format!("What is persisted of the sync cannot be read: {fault}."),
    }
}

/// Nothing was read yet but that there is a sync.
fn show_heading(monitor: &Monitor, standby: &Standby, progress: &mut Progress) {
    let Found {
        source,
        destination,
        heading,
        ..
    } = &standby.found;
    progress.state = State::Paused;
    progress.source = progress::endpoint(monitor, source.name);
    progress.destination = progress::endpoint(monitor, destination.name);
    progress.upgrade.metadata_version = Some(heading.metadata_version);
}

fn show(monitor: &Monitor, standby: &Standby, sight: &Sight, progress: &mut Progress) {
    let (standing, copied) = (&sight.standing, sight.copied);
    // Where no host works, none of the work is done that is persisted as wanted.
    progress.state = match standing.state {
        State::Running | State::Committing if standby.is_free() => State::Paused,
        state => state,
    };
    progress.can_write = standing.state == State::Committed;
    progress.info = Some(match (progress.state, standing.phase) {
        (State::Paused, _) => "paused",
        (_, Phase::CollectionCopy) => "collection copy",
        (_, Phase::IndexBuild) => "index building",
        (State::Committing, Phase::ChangeEventApplication) => "waiting for commit to complete",
        (_, Phase::ChangeEventApplication) => "change event application",
        (_, Phase::Restore) => "restoring unique, TTL, hidden and capped settings",
        (_, Phase::Done) => "commit completed",
    });
    progress.copy = CopyProgress {
        total_bytes: u64::try_from(standing.total_bytes)
            .unwrap_or_default()
            .max(1),
        copied_bytes: u64::try_from(copied.bytes).unwrap_or_default(),
        copied_documents: u64::try_from(copied.documents).unwrap_or_default(),
    };
    if let Some(position) = &sight.position {
        progress.safe = Some(position.safe.cluster_time);
        progress.total_events_applied = u64::try_from(position.events_applied).unwrap_or_default();
    }
    progress.source = progress::endpoint(monitor, standing.options.source);
    progress.destination = progress::endpoint(monitor, standing.options.destination);
    progress.warnings.extend(standing.warnings.iter().cloned());
    progress.upgrade = progress::upgrade(standing.metadata_version, standing.upgrades.clone());
}
