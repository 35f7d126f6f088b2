//! A host that waits: another one works on the sync, or no sync has begun.
//!
//! One task looks whether that is still so, and whether the lease of a working host is
//! still its own. It is the only place where a host changes between working and waiting
//! by itself, and does so while no call is carried out.

use std::{sync::Arc, time::Duration};

use super::{
    Role, Session, progress,
    takeover::{Attempt, Found, attempt},
};
use crate::{
    metadata::{LeaseDocument, Phase},
    model::{ErrorName, OperatorError, Progress, State, progress::CopyProgress},
    mongo,
};

/// How often a standby looks whether the lease was given back.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many looks go by before it is tried whether the lease has run out.
const LOOKS_A_TRY: u32 = 5;
/// How often a host without a sync looks whether another one has begun it.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Another host works on the sync.
pub(super) struct Standby {
    pub(super) found: Found,
    pub(super) why: Why,
    /// Why this host could not take the sync over when it was free.
    pub(super) failure: Option<OperatorError>,
}

/// Why a host does not work on a sync that has begun.
#[derive(Clone)]
pub(super) enum Why {
    Held(Box<LeaseDocument>),
    /// A host of a release without a lease is connected.
    WithoutLease,
}

impl Why {
    /// One sentence for the operator.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Held(lease) => format!(
                "This host is a standby: {} (release {}) works on the sync, in term {}.",
                lease.instance, lease.release, lease.term
            ),
            Self::WithoutLease => {
                "This host is a standby: a host of a release before 0.2.0 works on the sync. Stop \
                                   it, and this one goes on by itself."
                    .to_owned()
            }
        }
    }
}

impl Standby {
    pub(super) fn refusal(&self) -> OperatorError {
        OperatorError::new(
            ErrorName::StandbyInstance,
            format!(
                "{} Call that one, or hand its sync over.",
                self.why.sentence()
            ),
        )
    }
}

/// Looks for a sync at the start: what stands in the way ends the host.
pub(super) async fn first_look(session: &Session) -> Result<(), OperatorError> {
    let _calls = session.calls.lock().await;
    let outcome = attempt(session, true).await?;
    session.adopt(outcome);
    Ok(())
}

/// Changes the host's role whenever what it found says so, until it is asked to leave.
pub(super) async fn watch(session: Arc<Session>) {
    let mut looks = 0_u32;
    loop {
        let waited = match session.role() {
            Role::Active(active) => {
                tokio::select! {
                    () = active.lease.lost().cancelled() => session.demote().await,
                    () = session.leaving.cancelled() => return,
                }
                continue;
            }
            Role::Standby(_) => LOOK_EVERY,
            Role::Idle => IDLE_LOOK_EVERY,
        };
        tokio::select! {
            () = tokio::time::sleep(waited) => {}
            () = session.leaving.cancelled() => return,
        }
        looks = looks.wrapping_add(1);
        session.look(looks.is_multiple_of(LOOKS_A_TRY)).await;
    }
}

/// What `/progress` shows at a standby: what is persisted.
pub(super) async fn snapshot(session: &Session, standby: &Standby) -> Progress {
    let mut progress = progress::idle(session);
    progress.cannot_commit = Some(standby.why.sentence());
    progress.warnings = vec![standby.why.sentence()];
    let failure = standby.failure.iter().map(ToString::to_string);
    progress.warnings.extend(failure);
    if let Why::Held(lease) = &standby.why {
        progress.coordinator_id.clone_from(&lease.instance);
        progress.lease = Some(progress::lease(lease));
    }
    if let Err(error) = show_persisted(session, &standby.found, &mut progress).await {
        progress.warnings.push(format!(
            "What is persisted of the sync cannot be read: {error}."
        ));
    }
    progress
}

async fn show_persisted(
    session: &Session,
    found: &Found,
    progress: &mut Progress,
) -> Result<(), mongo::Error> {
    let reader = &found.reader;
    let Some(standing) = reader.standing().await? else {
        return Ok(());
    };
    progress.state = standing.state;
    progress.can_write = standing.state == State::Committed;
    progress.info = Some(match (standing.state, standing.phase) {
        (State::Paused, _) => "paused",
        (_, Phase::CollectionCopy) => "collection copy",
        (_, Phase::IndexBuild) => "index building",
        (State::Committing, Phase::ChangeEventApplication) => "waiting for commit to complete",
        (_, Phase::ChangeEventApplication) => "change event application",
        (_, Phase::Restore) => "restoring unique, TTL, hidden and capped settings",
        (_, Phase::Done) => "commit completed",
    });
    let (copied, position) = reader.shown(standing.metadata_version).await?;
    progress.copy = CopyProgress {
        total_bytes: u64::try_from(standing.total_bytes)
            .unwrap_or_default()
            .max(1),
        copied_bytes: u64::try_from(copied.bytes).unwrap_or_default(),
        copied_documents: u64::try_from(copied.documents).unwrap_or_default(),
    };
    if let Some(position) = position {
        progress.safe = Some(position.safe.cluster_time);
        progress.total_events_applied = u64::try_from(position.events_applied).unwrap_or_default();
    }
    progress.source = progress::endpoint(session, standing.options.source);
    progress.destination = progress::endpoint(session, standing.options.destination);
    progress.warnings.extend(standing.warnings);
    progress.upgrade = progress::upgrade(standing.metadata_version, standing.upgrades);
    Ok(())
}

impl Session {
    async fn look(&self, patient: bool) {
        let _calls = self.calls.lock().await;
        if matches!(self.role(), Role::Active(_)) || self.leaving.is_cancelled() {
            return;
        }
        match attempt(self, patient).await {
            Ok(outcome) => self.adopt(outcome),
            Err(error) => self.failed_to_take_over(error),
        }
    }

    /// Becomes what an attempt has made of this host.
    fn adopt(&self, outcome: Attempt) {
        match outcome {
            Attempt::Nothing => self.set_role(Role::Idle),
            Attempt::Wait(found, why) => {
                let failure = self.standby().and_then(|standby| standby.failure.clone());
                if !matches!(self.role(), Role::Standby(_)) {
                    tracing::info!("{}", why.sentence());
                    self.compile_ahead();
                }
                let standby = Standby {
                    found,
                    why,
                    failure,
                };
                self.set_role(Role::Standby(Arc::new(standby)));
            }
            Attempt::TakenOver(active) => {
                self.continues
                    .store(true, std::sync::atomic::Ordering::Relaxed);
                self.set_role(Role::Active(active));
            }
        }
    }

    /// Compiles what is installed while there is time: a takeover finds it ready. What cannot
    /// be compiled is told there, if it is needed.
    fn compile_ahead(&self) {
        let registry = self.registry.clone();
        tokio::task::spawn_blocking(move || drop(registry.list()));
    }

    /// Whether a host without a lease was there at the last look.
    pub(super) fn stands_by_without_lease(&self) -> bool {
        self.standby()
            .is_some_and(|standby| matches!(standby.why, Why::WithoutLease))
    }

    /// A failure that repeats is told once.
    fn failed_to_take_over(&self, error: OperatorError) {
        let Some(standby) = self.standby() else {
            tracing::info!(error = %error, "cannot look for a sync");
            return;
        };
        let known = standby.failure.as_ref().map(|known| known.name);
        if known != Some(error.name) {
            tracing::warn!(error = %error, error_code = error.name.as_str(), "the sync cannot be taken over yet");
        }
        self.set_role(Role::Standby(Arc::new(Standby {
            found: standby.found.clone(),
            why: standby.why.clone(),
            failure: Some(error),
        })));
    }

    /// The lease is somebody else's: whatever still runs here ends without a write.
    async fn demote(&self) {
        let _calls = self.calls.lock().await;
        if let Some(active) = self.active() {
            active.stop().await;
        }
        self.set_role(Role::Idle);
        if let Ok(outcome) = attempt(self, false).await {
            self.adopt(outcome);
        }
    }
}
