//! Makes the snapshot that `/progress` shows.

use super::{ActiveSync, Monitor, Role, Session, feature_set, standby};
use crate::{
    metadata::{LeaseDocument, Phase, SessionDocument, UpgradeDocument},
    model::{
        Progress, State,
        options::ClusterName,
        progress::{
            CopyProgress, Endpoint, IndexProgress, LeaseProgress, Upgrade, UpgradeProgress,
        },
    },
    observe,
    sync::Step,
};

/// The most lag with which a commit is allowed (mongosync's documentation of `canCommit`).
const MAX_COMMIT_LAG_SECONDS: u32 = 30;

const NOT_VERIFIED: &str =
    "Copied data is not verified by this release. Compare both clusters before you rely on it.";
const NOT_BLOCKED: &str =
    "Writes to the destination are not blocked. Make sure that nothing else writes to it.";

/// Why commit is not possible now; `None` if it is.
pub(super) async fn cannot_commit(active: &ActiveSync, monitor: &Monitor) -> Option<String> {
    let session = active.record.get().await;
    match active.state().await {
        State::Running if session.phase < Phase::ChangeEventApplication => {
            Some("The initial sync is running.".to_owned())
        }
        State::Running if active.status.step() == Step::Recopy || !session.recopy.is_empty() => {
            Some("Collections are copied again after a swap.".to_owned())
        }
        State::Running if active.status.step() != Step::ChangeEventApplication => {
            Some("The work is beginning.".to_owned())
        }
        State::Running => match lag_seconds(active, monitor) {
            None => Some("No change event position is known yet.".to_owned()),
            Some(lag) if lag > MAX_COMMIT_LAG_SECONDS => Some(format!(
                "The lag is {lag} seconds, more than {MAX_COMMIT_LAG_SECONDS}."
            )),
            Some(_) => None,
        },
        state => Some(format!("The state is {state}.")),
    }
}

/// Source time between the newest write and the newest applied event.
fn lag_seconds(active: &ActiveSync, monitor: &Monitor) -> Option<u32> {
    Some(
        active
            .status
            .reported()?
            .seconds_behind(monitor.seen().newest?),
    )
}

pub(super) async fn snapshot(session: &Session) -> Progress {
    match session.role() {
        Role::Idle => idle(session),
        Role::Active(active) => of(session, &active).await,
        Role::Standby(standby) => standby::snapshot(session, &standby).await,
    }
}

pub(super) fn idle(session: &Session) -> Progress {
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
        mongosync_id: session.settings.id.clone(),
        coordinator_id: session.settings.id.clone(),
        collections: Vec::new(),
        quarantined: 0,
        plugins: Vec::new(),
        feature_set: feature_set::snapshot(session, None),
        lease: None,
        upgrade: UpgradeProgress {
            binary_version: observe::VERSION,
            ..UpgradeProgress::default()
        },
    }
}

async fn of(session: &Session, active: &ActiveSync) -> Progress {
    let (document, state) = (active.record.get().await, active.state().await);
    let seen = session.monitor.seen();
    let status = &active.status;
    let lag_seconds = if state == State::Paused {
        None
    } else {
        lag_seconds(active, &session.monitor)
    };
    let behind = (state == State::Running)
        .then(|| status.safe())
        .flatten()
        .zip(seen.newest)
        .map(|(safe, newest)| u64::from(safe.seconds_behind(newest)));
    Progress {
        state,
        info: info(state, status.step()),
        cannot_commit: cannot_commit(active, &session.monitor).await,
        can_write: state == State::Committed,
        lag_seconds,
        total_events_applied: status.events_shown(),
        copy: status.copy(),
        indexes: status.indexes(),
        seconds_to_catch_up: lag_seconds
            .zip(seen.rate)
            .and_then(|(lag, rate)| catch_up(lag, rate)),
        oplog_seconds_remaining: seen
            .window_seconds
            .zip(behind)
            .map(|(window, behind)| window.saturating_sub(behind)),
        warnings: warnings(active, &document),
        source: endpoint(session, document.options.source),
        destination: endpoint(session, document.options.destination),
        safe: status.safe(),
        reported: status.reported(),
        mongosync_id: session.settings.id.clone(),
        coordinator_id: session.settings.id.clone(),
        collections: status.collections(),
        quarantined: status.quarantined(),
        plugins: active
            .in_use()
            .map(|configured| configured.chain.metrics())
            .unwrap_or_default(),
        feature_set: feature_set::snapshot(session, Some(&document)),
        lease: Some(LeaseProgress {
            ours: true,
            paused_ms: active.paused_ms(),
            ..lease(active.lease.document())
        }),
        upgrade: upgrade(document.metadata_version, document.upgrades),
    }
}

pub(super) fn lease(document: &LeaseDocument) -> LeaseProgress {
    LeaseProgress {
        ours: false,
        instance: document.instance.clone(),
        holder: document.holder.clone(),
        release: document.release.clone(),
        term: document.term,
        paused_ms: None,
    }
}

pub(super) fn upgrade(metadata_version: i32, history: Vec<UpgradeDocument>) -> UpgradeProgress {
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

fn info(state: State, step: Step) -> Option<&'static str> {
    match state {
        State::Paused => Some("paused"),
        State::Committed => Step::Committed.info(),
        State::Committing if step == Step::ChangeEventApplication => Step::WaitingForCommit.info(),
        _ => step.info(),
    }
}

/// Seconds until `lag` is gone when `rate` seconds of events are applied a second.
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

fn warnings(active: &ActiveSync, document: &SessionDocument) -> Vec<String> {
    let mut warnings: Vec<_> = active.failure().iter().map(ToString::to_string).collect();
    warnings.extend(
        document
            .not_restored
            .iter()
            .map(|what| format!("Not restored on the destination: {what}")),
    );
    warnings.extend(active.refused());
    match active.status.quarantined() {
        0 => {}
        held => warnings.push(format!(
            "Documents in quarantine, and not on the destination: {held}. See GET /api/v1/quarantine."
        )),
    }
    warnings.extend(document.warnings.iter().cloned());
    warnings.extend([NOT_VERIFIED, NOT_BLOCKED].map(str::to_owned));
    warnings
}

pub(super) fn endpoint(session: &Session, name: ClusterName) -> Endpoint {
    let [ping0, ping1] = session.monitor.seen().ping_ms;
    Endpoint {
        cluster: name.as_str(),
        address: session.monitor.address(name),
        ping_ms: if name == ClusterName::Cluster0 {
            ping0
        } else {
            ping1
        },
    }
}
