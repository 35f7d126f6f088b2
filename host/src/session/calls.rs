//! The calls that change a sync: one at a time, and each persisted before it answers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use futures::FutureExt;

use super::{
    ActiveSync, Role, Session,
    patience::{Named, patiently, unless_silent},
    pins::blocking,
    progress, start,
    state::{SyncState, refuse},
};
use crate::{
    model::{ErrorName, OperatorError, StartOptions, State, state::Call},
    observe::failpoint,
    sync,
};

impl Session {
    /// Begins a sync. For one that this host has picked up after a restart, the
    /// same options succeed and others are refused.
    pub async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        self.refuse_standby()?;
        let Some(active) = self.active() else {
            let clusters = [
                Named(options.source, "source"),
                Named(options.destination, "destination"),
            ];
            let left_undone = "See GET /api/v1/progress once the cluster answers, and call start again if it shows IDLE.";
            let begin = Box::pin(start::start(self, options));
            let active = unless_silent(&self.monitor, clusters, left_undone, begin).await?;
            active.spawn(self).await?;
            self.set_role(Role::Active(active));
            return Ok(());
        };
        if matches!(active.state(), SyncState::Committed) {
            return Err(refuse(State::Committed, Call::Start));
        }
        let differing = active.record.get().options.differing_fields(&options);
        let continues = self.continues.load(Relaxed);
        if !differing.is_empty() && continues {
            return Err(OperatorError::new(
                ErrorName::OptionsMismatch,
                format!(
                    "The sync was begun with other options and they cannot change: {} differ. \
                     Start with the same options; or give this sync up, as docs/cutover.md says.",
                    differing.join(", ")
                ),
            ));
        }
        let state = active.state();
        if continues && matches!(state, SyncState::Running | SyncState::Committing) {
            self.continues.store(false, Relaxed);
            return Ok(());
        }
        state.allow(Call::Start)
    }

    /// Stops the work; answers when it has stopped and PAUSED is persisted. After an error the
    /// work has stopped all the same, and the state says why.
    pub async fn pause(&self) -> Result<(), OperatorError> {
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        let active = self.active_for(Call::Pause)?;
        active.stop_in_call().await?;
        active
            .persist(
                self,
                "The work has stopped, but PAUSED is not persisted: resume goes on, and so does a restart.",
                |session| session.state = State::Paused,
            )
            .await
            .inspect_err(|error| active.fail(error.clone()))?;
        active.rest();
        tracing::info!(
            sync_id = active.sync_id(),
            "PAUSED: the position and the state are persisted"
        );
        Ok(())
    }

    pub async fn resume(&self) -> Result<(), OperatorError> {
        if self.standby().is_some() {
            self.resume_from_standby().await?;
            if self.works() {
                return Ok(());
            }
        }
        let _turn = self.turn().await?;
        let active = self.active_for(Call::Resume)?;
        // What is configured already holds them; a restart would not.
        let options = active.record.get().options;
        let registry = self.registry.clone();
        blocking(move || registry.check_secrets(&options)).await?;
        active.configured(self).await?;
        let unchanged = "Nothing was changed, and the work does not go on.";
        patiently(
            &self.monitor,
            active.destination_named(),
            unchanged,
            active.left_behind().map(Ok),
        )
        .await?;
        active
            .persist(self, unchanged, |session| {
                session.state = if session.commit_time.is_some() {
                    State::Committing
                } else {
                    State::Running
                };
            })
            .await?;
        active.spawn(self).await?;
        tracing::info!(sync_id = active.sync_id(), "resumed: the work goes on");
        Ok(())
    }

    /// Ends the sync at the source's present cluster time. Answers when that is persisted.
    pub async fn commit(&self) -> Result<(), OperatorError> {
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        let active = self.active_for(Call::Commit)?;
        if let Some(reason) = progress::cannot_commit(&active, &self.monitor) {
            return Err(OperatorError::new(
                ErrorName::CannotCommit,
                format!(
                    "Commit is not possible now. {reason} Nothing was changed. Wait until /progress shows canCommit true."
                ),
            ));
        }
        let unchanged = "Nothing was changed, and the sync goes on. Call commit again once the cluster answers.";
        let time = patiently(&self.monitor, active.source_named(), unchanged, async {
            Ok(sync::take_commit_time(&active.source).await?)
        })
        .await?;
        active
            .persist(self, unchanged, |session| {
                session.state = State::Committing;
                session.commit_time = Some(time);
            })
            .await?;
        tracing::info!(sync_id = active.sync_id(), commit_time = %time, "COMMITTING: events up to the commit time follow");
        active.status.set_activity(sync::Activity::WaitingForCommit);
        active.commit_time.send_replace(Some(time));
        Ok(())
    }

    /// Refused in this release: the direction of a sync cannot be swapped yet.
    pub async fn reverse(&self) -> Result<(), OperatorError> {
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        self.active_for(Call::Reverse)?;
        Err(OperatorError::new(
            ErrorName::NotSupported,
            "Reversing is not in this release. To sync in the other direction, begin a new sync into an empty cluster: \
             docs/cutover.md has the steps.",
        ))
    }

    /// Stops the work, persists the position and gives the sync to whoever wants it; answers
    /// when all is safe. The process is to end then: see [`Self::handed_over`]. After an error
    /// the sync is this host's still, and its work has stopped.
    pub async fn handover(&self) -> Result<(), OperatorError> {
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        self.refuse_standby()?;
        if let Some(active) = self.active() {
            self.give_away(&active).await?;
            tracing::info!(
                sync_id = active.sync_id(),
                "handed over: the lease is given back, and this host ends"
            );
        }
        self.leaving.cancel();
        self.handed_over.cancel();
        Ok(())
    }

    async fn give_away(&self, active: &ActiveSync) -> Result<(), OperatorError> {
        active.stop_in_call().await?;
        failpoint("handover_drained");
        let kept = "The work has stopped, and the lease is not given back: until another host takes the sync over, \
                    it is here. Call resume to go on.";
        patiently(&self.monitor, active.destination_named(), kept, async {
            Ok(active.lease.release().await?)
        })
        .await
        .inspect_err(|error| active.fail(error.clone()))?;
        self.set_role(Role::Idle);
        Ok(())
    }

    fn active_for(&self, call: Call) -> Result<Arc<ActiveSync>, OperatorError> {
        match self.role() {
            Role::Idle => Err(refuse(State::Idle, call)),
            Role::Standby(standby) => Err(standby.refusal()),
            Role::Active(active) => active.state().allow(call).map(|()| active),
        }
    }
}
