//! The task that changes the role of a host: takes a sync over, or becomes its standby.
//!
//! It checks whether the role is still right, and whether an active host still has its lease. It is the only
//! place where a host changes between active and standby without a call, and it does so only while no call has
//! the turn.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    eligibility,
    host::{Host, Role},
    persisted_sync::PersistedSync,
    standby::{Standby, StandbyReason},
    takeover::{self, Discovery, Takeover, TakeoverError},
};
use crate::{
    metadata::LeaseDocument,
    model::{ErrorKind, OperatorError},
    session::{
        active::ActiveSync,
        lease::process::is_dead,
        progress::deadline::{ClusterLabel, while_answering},
    },
};

/// Every 12th look at a standby also asks whether the lease has expired.
const LOOKS_A_TRY: u32 = 12;
/// Interval at which an idle host looks for a sync that another host has started.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time limit of a look.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Time that a takeover under way may take after the process was asked to end.
const TAKEOVER_GRACE: Duration = Duration::from_secs(2);

/// Looks for a sync at the start of the process. An error ends the process; a host that cannot run the sync
/// becomes its standby.
pub(crate) async fn first_discovery(host: &Host) -> Result<(), OperatorError> {
    let _turn = host.queued_turn().await;
    match takeover::discover(&host.context, true).await? {
        Discovery::NoSync => {}
        Discovery::Held(sync, reason) => host.stand_by(sync, reason),
        Discovery::Free(sync, dead) => match host.take(&sync, dead.as_deref()).await {
            Ok(()) => {}
            Err(TakeoverError::Unfit(_)) => host.stand_by(sync, StandbyReason::NoHost),
            Err(TakeoverError::Refused(error)) => return Err(error),
        },
    }
    Ok(())
}

/// Changes the role as the clusters require, until the host leaves.
pub(crate) async fn watch(host: Arc<Host>) {
    let mut looks = 0_u32;
    loop {
        let waited = match host.role() {
            Role::Active(active) => {
                tokio::select! {
                    () = active.lease.lost().cancelled() => host.demote(&active).await,
                    () = host.leaving.cancelled() => return,
                }
                continue;
            }
            Role::Standby(standby) => standby.reason.look_every(),
            Role::Idle => IDLE_LOOK_EVERY,
        };
        tokio::select! {
            () = tokio::time::sleep(waited) => {}
            () = host.leaving.cancelled() => return,
        }
        looks = looks.wrapping_add(1);
        let grace = async {
            host.leaving.cancelled().await;
            tokio::time::sleep(TAKEOVER_GRACE).await;
        };
        tokio::select! {
            () = host.review(looks.is_multiple_of(LOOKS_A_TRY)) => {}
            () = grace => return,
        }
        if let Some(standby) = host.standby() {
            eligibility::check_if_due(&host.eligibility, &host.context.registry, &standby.sync);
        }
    }
}

impl Host {
    /// Looks without the turn, so that calls do not wait; changes the role only if it then gets the turn.
    async fn review(&self, patient: bool) {
        if !patient && self.is_lease_unchanged().await {
            return;
        }
        let outcome = timeout(LOOK_WITHIN, takeover::discover(&self.context, patient)).await;
        let Ok(_turn) = self.try_turn() else {
            return;
        };
        if matches!(self.role(), Role::Active(_)) || self.leaving.is_cancelled() {
            return;
        }
        match outcome {
            Ok(Ok(Discovery::NoSync)) => self.set_role(Role::Idle),
            Ok(Ok(Discovery::Held(sync, reason))) => self.stand_by(sync, reason),
            Ok(Ok(Discovery::Free(sync, dead))) => {
                let is_hindered = self.eligibility.obstacle().is_some();
                if is_hindered || self.take(&sync, dead.as_deref()).await.is_err() {
                    self.stand_by(sync, StandbyReason::NoHost);
                }
            }
            Ok(Err(error)) => self.note_discovery_error(error),
            // The monitor reports which cluster is silent.
            Err(_elapsed) => {}
        }
    }

    /// Whether the lease still has the holder of the last look. One small read, where a complete look takes
    /// three.
    async fn is_lease_unchanged(&self) -> bool {
        let Some(standby) = self.standby() else {
            return false;
        };
        let StandbyReason::LeaseHeld(known) = &standby.reason else {
            return false;
        };
        let read = timeout(LOOK_WITHIN, standby.sync.reader.lease()).await;
        let is_same = |lease: &LeaseDocument| {
            !lease.released && lease.key() == known.key() && !is_dead(&lease.process)
        };
        matches!(read, Ok(Ok(Some(lease))) if is_same(&lease))
    }

    /// Takes the sync over, and records a failure.
    async fn take(&self, sync: &PersistedSync, dead: Option<&str>) -> Result<(), TakeoverError> {
        let without_lease = self.stands_by_without_lease();
        match takeover::take(&self.context, sync, dead, without_lease).await {
            Ok(Takeover::Active(active)) => {
                self.eligibility.clear_failure();
                self.set_continues(true);
                self.set_role(Role::Active(active));
            }
            Ok(Takeover::Standby(lease)) => {
                self.stand_by(sync.clone(), StandbyReason::LeaseHeld(lease))
            }
            Err(error) => {
                let (TakeoverError::Refused(reason) | TakeoverError::Unfit(reason)) = &error;
                self.eligibility.takeover_failed(reason.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    fn stand_by(&self, sync: PersistedSync, reason: StandbyReason) {
        if self.standby().is_none() {
            tracing::info!("{}", reason.sentence());
        }
        let obstacle = match reason {
            StandbyReason::NoHost => self.eligibility.reason(),
            _ => self.eligibility.check_error(),
        };
        self.set_role(Role::Standby(Arc::new(Standby {
            sync,
            reason,
            obstacle,
        })));
    }

    /// Whether a host without a lease was connected at the last look.
    fn stands_by_without_lease(&self) -> bool {
        self.standby()
            .is_some_and(|standby| matches!(standby.reason, StandbyReason::HostWithoutLease))
    }

    /// Transient errors are not reported; a repeated failure is logged once.
    fn note_discovery_error(&self, error: OperatorError) {
        let Some(standby) = self.standby() else {
            tracing::info!(error = %error, "cannot look for a sync");
            return;
        };
        if error.kind() == ErrorKind::Transient {
            return;
        }
        let known = standby.obstacle.as_ref().map(|known| known.name);
        if known != Some(error.name) {
            tracing::warn!(error = %error, error_code = error.name.as_str(), "the sync cannot be taken over yet");
        }
        self.set_role(Role::Standby(Arc::new(Standby {
            sync: standby.sync.clone(),
            reason: standby.reason.clone(),
            obstacle: Some(error),
        })));
    }

    /// `resume` at a standby without an active host: makes the next attempt at once.
    ///
    /// # Errors
    ///
    /// The reason for which the sync cannot be taken over.
    pub(crate) async fn resume_standby(&self) -> Result<(), OperatorError> {
        let _turn = self.turn().await?;
        let Some(standby) = self.standby() else {
            return Ok(());
        };
        if !standby.is_free() {
            return Err(standby.refusal());
        }
        self.eligibility.reset();
        let sync = &standby.sync;
        let clusters = ClusterLabel::both(sync.source.name, sync.destination.name);
        let left_undone = "Still no host works on the sync.";
        let looked = while_answering(&self.context.monitor, clusters, left_undone, async {
            let fits = eligibility::check(&self.context.registry, sync).await;
            self.eligibility.end_check(fits.clone());
            fits?;
            takeover::discover(&self.context, true).await
        });
        match looked.await? {
            Discovery::Free(sync, dead) => self
                .take(&sync, dead.as_deref())
                .await
                .map_err(OperatorError::from),
            Discovery::Held(sync, reason) => {
                self.stand_by(sync, reason);
                self.refuse_standby()
            }
            Discovery::NoSync => self.refuse_standby(),
        }
    }

    /// Becomes a standby after the lease was lost. The work ends without a write, because the fence is closed.
    async fn demote(&self, active: &Arc<ActiveSync>) {
        let _turn = self.queued_turn().await;
        if let Err(error) = active.stop().await {
            tracing::info!(error = %error, "the work has ended");
        }
        self.set_role(Role::Standby(Arc::new(Standby::after(active))));
    }
}
