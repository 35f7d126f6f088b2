//! The snapshot of a sync for `/progress` and `/readyz`.

pub(super) mod activity;
pub(super) mod commit;
mod components;
pub(super) mod deadline;
mod lag;
pub(super) mod monitor;
pub(super) mod sync_watch;
mod verification;
mod warnings;

use crate::{
    metadata::{LeaseDocument, Phase, ResyncDocument, UpgradeDocument},
    model::{
        Progress, Readiness, State,
        latency::LatencyHistogram,
        options::ClusterName,
        progress::{
            ComparisonProgress, CopyProgress, Endpoint, FeatureSetProgress, IndexProgress,
            LeaseProgress, ResyncProgress, Upgrade, UpgradeProgress,
        },
    },
    observe,
    plugin::Registry,
    session::{active::ActiveSync, write_blocks},
};
use commit::cannot_commit;
pub(super) use commit::lag_seconds;
use deadline::seconds;
use monitor::Monitor;

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
        index_failures: Vec::new(),
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
        principals: None,
        options: None,
        hosts: Vec::new(),
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
        info: activity::info(state, &document, status),
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
        warnings: warnings::of(active, monitor, &document),
        source: endpoint(monitor, document.options.source),
        destination: endpoint(monitor, document.options.destination),
        safe: status.safe(),
        reported: status.reported(),
        mongosync_id: id.clone(),
        coordinator_id: id.clone(),
        collections: status.collections.progress(),
        index_failures: status.collections.index_failures(),
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
        principals: status.principals.get(),
        options: Some(document.options.clone()),
        hosts: Vec::new(),
        upgrade: upgrade(document.metadata_version, document.upgrades),
    }
}

/// Seconds until the source's oplog no longer holds the safe position, if no more is applied, in a paused sync too.
/// `None` while it is unknown, and after the last event.
pub(super) fn oplog_seconds_remaining(active: &ActiveSync, monitor: &Monitor) -> Option<u64> {
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

/// Name, address and latency of a cluster.
pub(crate) fn endpoint(monitor: &Monitor, name: ClusterName) -> Endpoint {
    Endpoint {
        cluster: name.as_str(),
        address: monitor.address(name),
        ping_ms: monitor.ping_ms(name),
    }
}
