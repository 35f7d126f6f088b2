//! The snapshot of a sync for `/progress` and `/readyz`.

pub(super) mod commit;
mod components;
pub(super) mod deadline;
mod lag;
pub(super) mod monitor;
pub(super) mod sync_watch;
mod verification;

use crate::{
    metadata::{LeaseDocument, Phase, ResyncDocument, SessionDocument, UpgradeDocument},
    model::{
        Progress, Readiness, StartOptions, State,
        latency::LatencyHistogram,
        options::ClusterName,
        progress::{
            ComparisonProgress, CopyProgress, Endpoint, FeatureSetProgress, IndexProgress,
            LeaseProgress, ResyncProgress, Upgrade, UpgradeProgress,
        },
    },
    observe,
    plugin::{Registry, plaintext_secrets},
    session::{
        active::{ActiveSync, state::SyncState},
        write_blocks,
    },
    sync::Activity,
};
use commit::{cannot_commit, lag_seconds};
use deadline::{ClusterLabel, seconds, silent};
use monitor::Monitor;

/// A warning until COMMITTED.
const NOT_VERIFIED: &str =
    "Copied data is not verified. Compare both clusters before you rely on it.";
/// A warning after COMMITTED.
const WAS_NOT_VERIFIED: &str =
    "Copied data was not verified. docs/compare.md describes how to compare both clusters.";
/// A warning until COMMITTED.
const NOT_BLOCKED: &str =
    "Writes to the destination are not blocked. Make sure that nothing else writes to it.";

/// The readiness of a host with this role and state.
pub(crate) fn readiness(role: &'static str, state: Option<State>, monitor: &Monitor) -> Readiness {
    let silent = monitor.silent();
    let answers = |name: ClusterName| (name.as_str(), monitor.silence(name).is_none());
    Readiness {
        clusters: [ClusterName::Cluster0, ClusterName::Cluster1].map(answers),
        ready: silent.is_none(),
        role,
        state,
        reason: silent.map(|(name, silence)| {
            let cluster = name.as_str();
            format!("{cluster} has not answered for {}.", seconds(silence))
        }),
    }
}

/// The progress of a host without a sync.
pub(crate) fn idle(id: &str, registry: &Registry) -> Progress {
    Progress {
        feature_set: components::snapshot(registry, None),
        ..unknown(id)
    }
}

/// The progress of a host before it has looked for a sync.
pub(crate) fn unknown(id: &str) -> Progress {
    Progress {
        state: State::Idle,
        info: None,
        cannot_commit: Some("No sync has been started.".to_owned()),
        can_write: false,
        lag_seconds: None,
        total_events_applied: 0,
        copy: CopyProgress::default(),
        indexes: IndexProgress::default(),
        seconds_to_catch_up: None,
        oplog_seconds_remaining: None,
        warnings: Vec::new(),
        source: Endpoint::default(),
        destination: Endpoint::default(),
        safe: None,
        reported: None,
        mongosync_id: id.to_owned(),
        coordinator_id: id.to_owned(),
        collections: Vec::new(),
        quarantined: 0,
        oversize_events: 0,
        apply_latency: LatencyHistogram::default(),
        copy_latency: LatencyHistogram::default(),
        failure: None,
        commit_undone_at_ms: None,
        plugins: Vec::new(),
        throttle: None,
        feature_set: FeatureSetProgress::default(),
        resync: None,
        comparison: ComparisonProgress::default(),
        write_blocking: None,
        sync_id: None,
        blocked_ms: None,
        verification: None,
        verified_collections: Vec::new(),
        options: None,
        lease: None,
        upgrade: UpgradeProgress {
            binary_version: observe::VERSION,
            ..UpgradeProgress::default()
        },
    }
}

/// The progress of an active host.
pub(crate) fn of(active: &ActiveSync, monitor: &Monitor) -> Progress {
    let (document, sync_state) = (active.record.get(), active.state());
    let (state, status) = (sync_state.public(), &active.status);
    let id = &active.runtime.instance;
    let lag_seconds = lag_seconds(active, monitor);
    Progress {
        state,
        info: if state == State::Running && is_resyncing(&document) {
            Activity::Resync.info()
        } else if state == State::Committing && document.commit_time.is_none() {
            Activity::BlockingSource.info()
        } else {
            info(state, status.activity(), document.phase, status.copy())
        },
        cannot_commit: cannot_commit(active, monitor),
        can_write: state == State::Committed,
        lag_seconds,
        total_events_applied: status.events_shown(),
        copy: status.copy(),
        indexes: status.indexes(),
        seconds_to_catch_up: lag_seconds
            .zip(monitor.rate())
            .filter(|_| document.phase >= Phase::ChangeEventApplication)
            .and_then(|(lag, rate)| catch_up(lag, rate)),
        oplog_seconds_remaining: oplog_seconds_remaining(active, monitor),
        warnings: warnings(active, monitor, &document),
        source: endpoint(monitor, document.options.source),
        destination: endpoint(monitor, document.options.destination),
        safe: status.safe(),
        reported: status.reported(),
        mongosync_id: id.clone(),
        coordinator_id: id.clone(),
        collections: status.collections(),
        quarantined: status.quarantined(),
        oversize_events: status.oversize_events(),
        apply_latency: status.apply_latency(),
        copy_latency: status.copy_latency(),
        failure: sync_state.reason().map(|error| error.name),
        commit_undone_at_ms: document
            .commit_undone_at
            .map(bson::DateTime::timestamp_millis),
        plugins: active
            .configured()
            .map(|configured| configured.chain.metrics())
            .unwrap_or_default(),
        throttle: status
            .throttle
            .longest()
            .filter(|_| state == State::Running),
        feature_set: verification::with_deferral(
            components::snapshot(&active.runtime.registry, Some(&document)),
            active,
        ),
        lease: Some(LeaseProgress {
            ours: active.lease.fence().is_open(),
            paused_ms: active.paused_ms(),
            ..lease(active.lease.document())
        }),
        resync: document.resyncs.last().map(resync),
        comparison: status.comparison(),
        write_blocking: write_blocks::progress(&document, status),
        sync_id: Some(document.sync_id()),
        blocked_ms: document.commit.and_then(|commit| commit.blocked_ms),
        verification: verification::progress(active, monitor),
        verified_collections: status.verification.collections(),
        options: Some(document.options.clone()),
        upgrade: upgrade(document.metadata_version, document.upgrades),
    }
}

/// Seconds until the source's oplog no longer holds the safe position, if no more is applied, in a paused sync too.
/// `None` while it is unknown, and after the last event.
fn oplog_seconds_remaining(active: &ActiveSync, monitor: &Monitor) -> Option<u64> {
    let source = active.source.name;
    let session = active.record.get();
    if session.phase >= Phase::Restore {
        return None;
    }
    // Nothing is persisted before the first batch: the stream begins at the start time then.
    let safe = active.status.safe().unwrap_or(session.start_time);
    let newest = monitor.newest(source)?;
    let behind = u64::from(safe.seconds_behind(newest));
    Some(monitor.window_seconds(source)?.saturating_sub(behind))
}

/// The lease of another host; the caller adds the fields of its own lease.
pub(crate) fn lease(document: &LeaseDocument) -> LeaseProgress {
    LeaseProgress {
        ours: false,
        instance: document.instance.clone(),
        holder: document.holder.clone(),
        release: document.release.clone(),
        term: document.term,
        paused_ms: None,
    }
}

fn resync(resync: &ResyncDocument) -> ResyncProgress {
    ResyncProgress {
        at: resync.at.try_to_rfc3339_string().unwrap_or_default(),
        reason: resync.reason.clone(),
        from: resync.from,
        to: resync.to,
        done: resync.done,
    }
}

/// Whether collections are compared because the position was lost.
pub(crate) fn is_resyncing(document: &SessionDocument) -> bool {
    document.resyncs.last().is_some_and(|last| !last.done)
}

/// The warning about a resync that is not done.
fn resync_warning(document: &SessionDocument) -> Option<String> {
    let resync = document.resyncs.last().filter(|last| !last.done)?;
    Some(format!(
        "The source's oplog no longer held the position {}: {}. Since {} all collections are compared with the source, \
         and what differs is written.{}",
        resync.from,
        resync.reason,
        resync.at.try_to_rfc3339_string().unwrap_or_default(),
        resync.to.map_or_else(String::new, |to| format!(
            " Changes are applied from the position {to} on."
        )),
    ))
}

/// The metadata version and the history of live upgrades.
pub(crate) fn upgrade(metadata_version: i32, history: Vec<UpgradeDocument>) -> UpgradeProgress {
    let entry = |upgrade: UpgradeDocument| Upgrade {
        at: upgrade.at.try_to_rfc3339_string().unwrap_or_default(),
        from_binary: upgrade.from_binary,
        to_binary: upgrade.to_binary,
        from_metadata: upgrade.from_metadata,
        to_metadata: upgrade.to_metadata,
        paused_ms: upgrade.paused_ms,
        outcome: upgrade.outcome,
    };
    UpgradeProgress {
        metadata_version: Some(metadata_version),
        binary_version: observe::VERSION,
        history: history.into_iter().map(entry).collect(),
    }
}

/// The description of the current activity. Restarted work is shown with the activity that it had reached.
fn info(state: State, step: Activity, phase: Phase, copied: CopyProgress) -> Option<&'static str> {
    let begins = matches!(step, Activity::Waiting | Activity::Initializing);
    let step = match phase {
        Phase::CollectionCopy if begins && copied.copied_documents > 0 => Activity::CollectionCopy,
        Phase::IndexBuild if begins => Activity::IndexBuild,
        Phase::ChangeEventApplication if begins => Activity::ChangeEventApplication,
        Phase::Restore if begins => Activity::Restoring,
        Phase::Unblock if begins => Activity::Unblocking,
        _ => step,
    };
    match state {
        State::Paused => Some("paused"),
        State::Committed => Activity::Committed.info(),
        State::Committing if step == Activity::ChangeEventApplication => {
            Activity::WaitingForCommit.info()
        }
        _ => step.info(),
    }
}

/// Seconds until `lag` seconds are caught up, at a rate of `rate` seconds of source time per second. `None` if
/// the sync does not catch up.
fn catch_up(lag: u32, rate: f64) -> Option<u64> {
    match lag {
        0 | 1 => Some(0),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and shown rounded"
        )]
        _ if rate > 1.0 => Some((f64::from(lag) / (rate - 1.0)).ceil() as u64),
        _ => None,
    }
}

fn warnings(active: &ActiveSync, monitor: &Monitor, document: &SessionDocument) -> Vec<String> {
    let state = active.state();
    let mut warnings: Vec<_> = state.reason().iter().map(ToString::to_string).collect();
    if state.reason().is_some() {
        warnings.extend(write_blocks::stopped_commit(document, &active.status));
    }
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    if let Some(silence) = silent(monitor, clusters) {
        warnings.push(format!("{silence} Its values are older."));
    }
    warnings.extend(
        document
            .not_restored
            .iter()
            .map(|what| format!("Not restored on the destination: {what}")),
    );
    warnings.extend(document.commit_warnings.iter().cloned());
    warnings.extend(resync_warning(document));
    warnings.extend(write_blocks::warnings(document, &active.status));
    warnings.extend(active.lease.warning());
    warnings.extend(active.rejected());
    warnings.extend(active.status.throttle.unknown());
    warnings.extend(active.hook_failures.sentences());
    match active.status.quarantined() {
        0 => {}
        held => warnings.push(format!(
            "Documents in quarantine, and not on the destination: {held}. See GET /api/v1/quarantine."
        )),
    }
    warnings.extend(plaintext_secret_warning(&document.options));
    warnings.extend(document.warnings.iter().cloned());
    let blocks = document.write_blocks.as_ref();
    let is_blocked =
        blocks.is_some_and(|blocks| blocks.destination.is_some() || !blocks.lacking.is_empty());
    let is_verified = document.options.verification().enabled;
    let notes: &[&str] = match state {
        // Applications already write to the destination, and the source is no longer compared with it.
        SyncState::Committed if is_verified => &[],
        SyncState::Committed => &[WAS_NOT_VERIFIED],
        _ if is_blocked && is_verified => &[],
        _ if is_blocked => &[NOT_VERIFIED],
        _ if is_verified => &[NOT_BLOCKED],
        _ => &[NOT_VERIFIED, NOT_BLOCKED],
    };
    warnings.extend(notes.iter().copied().map(str::to_owned));
    warnings
}

/// The warning about plaintext secrets in the options, which are persisted in the metadata.
pub(crate) fn plaintext_secret_warning(options: &StartOptions) -> Option<String> {
    let fields = plaintext_secrets(options);
    (!fields.is_empty()).then(|| {
        format!(
            "Plaintext secrets, readable for everyone who can read the destination's metadata: {}. For the next \
             sync, put each into a file of --secretsDir and give {{\"$secret\": \"FILE\"}} in its place; drop the \
             database mongosync_internal_tidegate after this sync is committed.",
            fields.join(", ")
        )
    })
}

/// Name, address and latency of a cluster.
pub(crate) fn endpoint(monitor: &Monitor, name: ClusterName) -> Endpoint {
    Endpoint {
        cluster: name.as_str(),
        address: monitor.address(name),
        ping_ms: monitor.ping_ms(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f60_info_never_goes_back_to_initializing() {
        let copied = |copied_documents| CopyProgress {
            copied_documents,
            ..CopyProgress::default()
        };
        for (phase, documents, shown) in [
            (Phase::CollectionCopy, 0, Activity::Initializing),
            (Phase::CollectionCopy, 1, Activity::CollectionCopy),
            (Phase::IndexBuild, 1, Activity::IndexBuild),
            (
                Phase::ChangeEventApplication,
                1,
                Activity::ChangeEventApplication,
            ),
            (Phase::Restore, 1, Activity::Restoring),
        ] {
            let info = info(
                State::Running,
                Activity::Initializing,
                phase,
                copied(documents),
            );
            assert_eq!(info, shown.info(), "{phase:?}");
        }
    }
}
