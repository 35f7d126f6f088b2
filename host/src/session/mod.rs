//! The state machine of one sync, the task that does its work, and the lease under
//! which this host, and no other, does it.
//!
//! Calls are taken one at a time. A call that is refused has changed nothing;
//! one that succeeds has persisted the new state before it answers. No call waits long for a
//! cluster that does not answer (`progress::deadline`). What a sync is doing is one value (`active::state`): a sync
//! whose work has failed is shown as PAUSED, with the reason among its warnings: its
//! position is safe, and `resume`, or a restart, tries again.
//!
//! A host is idle, works on the sync, or is a standby: another host works on it, and
//! this one takes it over when that one leaves (`role::watch`, `role::takeover`).

mod active;
mod calls;
mod components;
mod context;
mod handle;
mod lease;
mod pin_info;
mod progress;
mod quarantine;
mod role;
mod start;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        OperatorError, Progress, Readiness, StartOptions, State,
        plugins::{QuarantinedDocument, RetrySummary, SwapRequest},
    },
    plugin::InstalledPlugin,
};
use calls::{handover, plugins};
use components::swap;
use context::HostContext;
pub use context::Settings;
pub use handle::SessionHandle;
pub use role::{Rollback, rollback};
use role::{
    host::{Host, Role},
    view,
};

/// How long a host that ends waits for its connections to be closed.
const SHUT_WITHIN: Duration = Duration::from_millis(500);

/// One sync: the handle that `api` calls.
pub struct Session {
    host: Arc<Host>,
}

impl Session {
    /// Begins a sync. For one that this host has picked up after a restart, the
    /// same options succeed and others are refused.
    pub async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        calls::start(&self.host, options).await
    }

    /// Stops the work; answers when it has stopped and PAUSED is persisted. After an error the
    /// work has stopped all the same, and the state says why.
    pub async fn pause(&self) -> Result<(), OperatorError> {
        calls::pause(&self.host).await
    }

    /// Goes on with the work; at a standby while no host works, tries to take the sync over.
    pub async fn resume(&self) -> Result<(), OperatorError> {
        calls::resume(&self.host).await
    }

    /// Ends the sync at the source's present cluster time. Answers when that is persisted.
    pub async fn commit(&self) -> Result<(), OperatorError> {
        calls::commit(&self.host).await
    }

    /// Refused in this release: the direction of a sync cannot be swapped yet.
    pub async fn reverse(&self) -> Result<(), OperatorError> {
        calls::reverse(&self.host).await
    }

    /// Stops the work, persists the position and gives the sync to whoever wants it; answers
    /// when all is safe. The process is to end then: see [`Self::handed_over`]. After an error
    /// the sync is this host's still, and its work has stopped.
    pub async fn handover(&self) -> Result<(), OperatorError> {
        handover::hand_over(&self.host).await
    }

    /// Every component that this host can run.
    pub async fn plugins(&self) -> Result<Vec<InstalledPlugin>, OperatorError> {
        plugins::list(&self.host).await
    }

    /// Checks and stores a component. Before a sync has begun, nobody knows which
    /// cluster is the destination: it is then held in memory until the start.
    pub async fn add_plugin(&self, bytes: Vec<u8>) -> Result<InstalledPlugin, OperatorError> {
        plugins::add(&self.host, bytes).await
    }

    /// Deletes a component that was uploaded and that the sync does not run on.
    pub async fn remove_plugin(&self, digest: &str) -> Result<(), OperatorError> {
        plugins::remove(&self.host, digest).await
    }

    /// Swaps components of the sync, between two batches of a running one.
    pub async fn upgrade(&self, upgrade: SwapRequest) -> Result<(), OperatorError> {
        let _turn = self.host.active_turn().await?;
        match self.host.active() {
            Some(active) => swap::upgrade(&active, &self.host.context.monitor, &upgrade).await,
            None => Err(swap::nothing_to_upgrade(State::Idle)),
        }
    }

    /// Documents in quarantine behind `after`, an id or empty.
    pub async fn quarantined(
        &self,
        after: String,
        limit: u32,
    ) -> Result<Vec<QuarantinedDocument>, OperatorError> {
        match self.host.active() {
            Some(active) => {
                quarantine::list(&active, &self.host.context.monitor, &after, limit).await
            }
            None => Ok(Vec::new()),
        }
    }

    /// Looks every quarantined document up on the source and runs it through its plugins again.
    pub async fn retry_quarantined(&self) -> Result<RetrySummary, OperatorError> {
        let _turn = self.host.active_turn().await?;
        let active = self.host.active();
        quarantine::retry(active.as_deref(), &self.host.context.monitor).await
    }

    pub async fn progress(&self) -> Progress {
        let context = &self.host.context;
        match self.host.role() {
            Role::Idle => progress::idle(&context.settings.id, &context.registry),
            Role::Active(active) => progress::of(&active, &context.monitor),
            Role::Standby(standby) => view::snapshot(context, &self.host.view, &standby).await,
        }
    }

    /// Whether both clusters answer, and what this host is to the sync.
    pub fn readiness(&self) -> Readiness {
        let (role, state) = self.host.role().shown();
        progress::readiness(role, state, &self.host.context.monitor)
    }

    /// Cancelled when the sync was handed over.
    pub fn handed_over(&self) -> &CancellationToken {
        &self.host.handed_over
    }

    /// Stops the work, persists the position and gives the lease back, as far as the clusters let
    /// it; repeating it is harmless.
    pub async fn leave(&self) {
        handover::leave(&self.host).await;
    }

    /// Stops the work, persists the position, gives the lease back, and returns when all is safe,
    /// or when a cluster does not let it.
    pub async fn shutdown(&self) {
        self.leave().await;
        let HostContext {
            monitor, clusters, ..
        } = &self.host.context;
        monitor.stop();
        // Waits for answers, which a silent cluster does not give.
        let shut = clusters
            .iter()
            .map(|cluster| cluster.client.driver().clone().shutdown().into_future());
        let _ = timeout(SHUT_WITHIN, join_all(shut)).await;
    }
}
