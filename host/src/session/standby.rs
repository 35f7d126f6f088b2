//! A host that waits: another one works on the sync, or no sync has begun.
//!
//! One task looks whether that is still so, and whether the lease of a working host is
//! still its own. It is the only place where a host changes between working and waiting
//! by itself, and does so while no call is carried out.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    ActiveSync, Role, Session, fitness,
    patience::{Named, seconds, unless_silent},
    process::is_dead,
    progress,
    takeover::{self, Found, Look, Takeover, TakeoverError},
    view::Sight,
};
use crate::{
    metadata::{self, Heading, LeaseDocument, Phase},
    model::{ErrorKind, ErrorName, OperatorError, Progress, State, progress::CopyProgress},
};

/// How often a standby looks whether the lease was given back. A handover waits for half of it.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// The same where the lease alone does not tell.
const FULL_LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many looks go by before it is tried whether the lease has run out.
const LOOKS_A_TRY: u32 = 12;
/// How often a host without a sync looks whether another one has begun it.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look waits for the clusters.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// How long a takeover that has begun may go on when the host is to leave.
const TAKEOVER_GRACE: Duration = Duration::from_secs(2);

/// A host that does not work on a sync that has begun.
pub(super) struct Standby {
    pub(super) found: Found,
    pub(super) why: Why,
    /// Why this host does not take the sync over, or could not.
    pub(super) hindrance: Option<OperatorError>,
}

/// Why a host does not work on a sync that has begun.
#[derive(Clone)]
pub(super) enum Why {
    Held(Box<LeaseDocument>),
    /// A host of a release without a lease is connected.
    WithoutLease,
    /// The lease was lost; whose it is has not been read yet.
    TakenAway,
    /// No host works on the sync, and this one cannot.
    Free,
}

impl Why {
    fn look_every(&self) -> Duration {
        match self {
            Self::Held(_) => LOOK_EVERY,
            _ => FULL_LOOK_EVERY,
        }
    }

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
            Self::TakenAway => {
                "This host is a standby: another host has taken the sync over.".to_owned()
            }
            Self::Free => "No host works on the sync, and this one cannot.".to_owned(),
        }
    }
}

impl Standby {
    pub(super) fn refusal(&self) -> OperatorError {
        let advice = match (&self.why, &self.hindrance) {
            (Why::Free, Some(error)) => format!("{error} It tries again every few seconds."),
            _ => "Call that one, or hand its sync over.".to_owned(),
        };
        OperatorError::new(
            ErrorName::StandbyInstance,
            format!("{} {advice}", self.why.sentence()),
        )
    }

    /// No host works on the sync.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.why, Why::Free)
    }

    /// A host that has just lost the lease.
    fn after(active: &ActiveSync) -> Self {
        Self {
            found: Found {
                source: active.source.clone(),
                destination: active.destination.clone(),
                reader: metadata::Reader::new(&active.destination.client),
                heading: Heading::from(&active.record.get()),
            },
            why: Why::TakenAway,
            hindrance: None,
        }
    }

    /// What keeps this host from working, as `/progress` says it.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![self.why.sentence()];
        let hindrance = self.hindrance.as_ref();
        warnings.extend(hindrance.map(|error| match self.why {
            Why::Free => format!("{error} This host tries again every few seconds."),
            _ => format!("This host could not run the sync: {error}"),
        }));
        if self.is_free() {
            // The reason comes first, as where work has failed.
            warnings.reverse();
        }
        warnings
    }
}

/// Looks for a sync at the start: what stands in the way ends the host. One that lacks what the
/// sync runs on waits for it.
pub(super) async fn first_look(session: &Session) -> Result<(), OperatorError> {
    let _turn = session.calls.lock().await;
    match takeover::look(session, true).await? {
        Look::NoSync => {}
        Look::Held(found, why) => session.stand_by(found, why),
        Look::Free(found, dead) => match session.take(&found, dead.as_deref()).await {
            Ok(()) => {}
            Err(TakeoverError::Unfit(_)) => session.stand_by(found, Why::Free),
            Err(TakeoverError::Refused(error)) => return Err(error),
        },
    }
    Ok(())
}

/// Changes the host's role whenever what it found says so, until it is asked to leave.
pub(super) async fn watch(session: Arc<Session>) {
    let mut looks = 0_u32;
    loop {
        let waited = match session.role() {
            Role::Active(active) => {
                tokio::select! {
                    () = active.lease.lost().cancelled() => session.demote(&active).await,
                    () = session.leaving.cancelled() => return,
                }
                continue;
            }
            Role::Standby(standby) => standby.why.look_every(),
            Role::Idle => IDLE_LOOK_EVERY,
        };
        tokio::select! {
            () = tokio::time::sleep(waited) => {}
            () = session.leaving.cancelled() => return,
        }
        looks = looks.wrapping_add(1);
        let grace = async {
            session.leaving.cancelled().await;
            tokio::time::sleep(TAKEOVER_GRACE).await;
        };
        tokio::select! {
            () = session.look(looks.is_multiple_of(LOOKS_A_TRY)) => {}
            () = grace => return,
        }
        if let Some(standby) = session.standby() {
            fitness::check_if_due(&session, &standby.found);
        }
    }
}

/// What `/progress` shows at a standby: what is persisted.
pub(super) async fn snapshot(session: &Session, standby: &Standby) -> Progress {
    let (sight, fault) = session.view.read(session, &standby.found).await;
    let mut progress = progress::idle(session);
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
        Some(sight) => show(session, standby, &sight, &mut progress),
        None => show_heading(session, standby, &mut progress),
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
fn show_heading(session: &Session, standby: &Standby, progress: &mut Progress) {
    let Found {
        source,
        destination,
        heading,
        ..
    } = &standby.found;
    progress.state = State::Paused;
    progress.source = progress::endpoint(session, source.name);
    progress.destination = progress::endpoint(session, destination.name);
    progress.upgrade.metadata_version = Some(heading.metadata_version);
}

fn show(session: &Session, standby: &Standby, sight: &Sight, progress: &mut Progress) {
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
    progress.source = progress::endpoint(session, standing.options.source);
    progress.destination = progress::endpoint(session, standing.options.destination);
    progress.warnings.extend(standing.warnings.iter().cloned());
    progress.upgrade = progress::upgrade(standing.metadata_version, standing.upgrades.clone());
}

impl Session {
    /// Looks without keeping calls waiting; changes the role while no call is carried out.
    async fn look(&self, patient: bool) {
        if !patient && self.is_held_as_known().await {
            return;
        }
        let outcome = timeout(LOOK_WITHIN, takeover::look(self, patient)).await;
        let Ok(_turn) = self.calls.try_lock() else {
            return;
        };
        if matches!(self.role(), Role::Active(_)) || self.leaving.is_cancelled() {
            return;
        }
        match outcome {
            Ok(Ok(Look::NoSync)) => self.set_role(Role::Idle),
            Ok(Ok(Look::Held(found, why))) => self.stand_by(found, why),
            Ok(Ok(Look::Free(found, dead))) => {
                let is_hindered = self.fitness.hindrance().is_some();
                if is_hindered || self.take(&found, dead.as_deref()).await.is_err() {
                    self.stand_by(found, Why::Free);
                }
            }
            Ok(Err(error)) => self.look_failed(error),
            // The monitor says which cluster is silent.
            Err(_elapsed) => {}
        }
    }

    /// True if the host that held the lease at the last look holds it still: one small read, where a
    /// whole look takes three.
    async fn is_held_as_known(&self) -> bool {
        let Some(standby) = self.standby() else {
            return false;
        };
        let Why::Held(known) = &standby.why else {
            return false;
        };
        let read = timeout(LOOK_WITHIN, standby.found.reader.lease()).await;
        let is_same = |lease: &LeaseDocument| {
            !lease.released && lease.key() == known.key() && !is_dead(&lease.process)
        };
        matches!(read, Ok(Ok(Some(lease))) if is_same(&lease))
    }

    /// Takes the sync over, and remembers why that has failed.
    async fn take(&self, found: &Found, dead: Option<&str>) -> Result<(), TakeoverError> {
        match takeover::take(self, found, dead).await {
            Ok(Takeover::Active(active)) => {
                self.fitness.forget_failures();
                self.continues
                    .store(true, std::sync::atomic::Ordering::Relaxed);
                self.set_role(Role::Active(active));
            }
            Ok(Takeover::Held(lease)) => self.stand_by(found.clone(), Why::Held(lease)),
            Err(error) => {
                let (TakeoverError::Refused(reason) | TakeoverError::Unfit(reason)) = &error;
                self.fitness.failed(reason.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    fn stand_by(&self, found: Found, why: Why) {
        if self.standby().is_none() {
            tracing::info!("{}", why.sentence());
        }
        let hindrance = match why {
            Why::Free => self.fitness.reason(),
            _ => self.fitness.unfit(),
        };
        self.set_role(Role::Standby(Arc::new(Standby {
            found,
            why,
            hindrance,
        })));
    }

    /// Whether a host without a lease was there at the last look.
    pub(super) fn stands_by_without_lease(&self) -> bool {
        self.standby()
            .is_some_and(|standby| matches!(standby.why, Why::WithoutLease))
    }

    /// What passes is not told; a failure that repeats is told once.
    fn look_failed(&self, error: OperatorError) {
        let Some(standby) = self.standby() else {
            tracing::info!(error = %error, "cannot look for a sync");
            return;
        };
        if error.kind() == ErrorKind::Transient {
            return;
        }
        let known = standby.hindrance.as_ref().map(|known| known.name);
        if known != Some(error.name) {
            tracing::warn!(error = %error, error_code = error.name.as_str(), "the sync cannot be taken over yet");
        }
        self.set_role(Role::Standby(Arc::new(Standby {
            found: standby.found.clone(),
            why: standby.why.clone(),
            hindrance: Some(error),
        })));
    }

    /// `resume` where no host works on the sync: tries at once what is tried every few seconds.
    pub(super) async fn resume_from_standby(&self) -> Result<(), OperatorError> {
        let _turn = self.turn().await?;
        let Some(standby) = self.standby() else {
            return Ok(());
        };
        if !standby.is_free() {
            return Err(standby.refusal());
        }
        self.fitness.forget();
        let clusters = [
            Named(standby.found.source.name, "source"),
            Named(standby.found.destination.name, "destination"),
        ];
        let left_undone = "No host works on the sync still.";
        let looked = unless_silent(&self.monitor, clusters, left_undone, async {
            let fits = fitness::check(self, &standby.found).await;
            self.fitness.end_check(fits.clone());
            fits?;
            takeover::look(self, true).await
        });
        match looked.await? {
            Look::Free(found, dead) => self
                .take(&found, dead.as_deref())
                .await
                .map_err(TakeoverError::into_operator),
            Look::Held(found, why) => {
                self.stand_by(found, why);
                self.refuse_standby()
            }
            Look::NoSync => self.refuse_standby(),
        }
    }

    /// The lease is somebody else's: whatever still runs here ends without a write.
    async fn demote(&self, active: &Arc<ActiveSync>) {
        let _turn = self.calls.lock().await;
        if let Err(error) = active.stop().await {
            tracing::info!(error = %error, "the work has ended");
        }
        self.set_role(Role::Standby(Arc::new(Standby::after(active))));
    }
}
