//! The session of a host: the state machine of a sync, the task that does its work, and the lease.
//!
//! Invariant: only the holder of the lease works on the sync.
//!
//! Calls are executed one at a time. A refused call has changed nothing; a successful call has persisted the new
//! state before it returns. No call waits long for a cluster that does not answer (`progress::deadline`). The
//! state of a sync is one value (`active::state`). A sync whose work has failed is PAUSED, with the error among
//! its warnings: its position is safe, and `resume` or a restart continues it.
//!
//! A host is idle, active or a standby. A standby takes the sync over when the holder of the lease leaves
//! (`role::watch`, `role::takeover`).

mod active;
mod audit;
mod calls;
mod commit_watch;
mod components;
mod context;
mod handle;
mod history;
mod hooks;
mod host_list;
mod hosts;
mod lease;
mod pin_info;
mod progress;
mod quarantine;
mod rehearsal;
mod role;
mod start;
mod users;
mod write_blocks;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    distribution::fetch_components,
    model::{
        OperatorError, Progress, Readiness, StartOptions, State,
        commit::CommitOptions,
        history::History,
        hosts::{PassedAnswer, PassedCall, TakenCall},
        mismatch::ListedMismatch,
        plugins::{NamespaceSelection, QuarantinedDocument, RetrySummary, SwapRequest},
        principals::PrincipalsSurvey,
    },
    plugin::InstalledPlugin,
};
use calls::{handover, plugins, recopy, verification};
use components::swap;
use context::HostContext;
pub use context::Settings;
pub use handle::SessionHandle;
use hosts::passed_calls::{self, OpenCalls};
pub use rehearsal::{Rehearsal, rehearse};
pub use role::{Rollback, rollback};
use role::{
    host::{Host, Role},
    view,
};

/// Time for closing the connections at the end of the process.
const SHUT_WITHIN: Duration = Duration::from_millis(500);

/// The session of a host: the calls of the API. Calls that change the sync wait for the previous call. Such a
/// call is not cancel safe; `api` runs it to its end although its client has gone.
pub struct Session {
    host: Arc<Host>,
    passed_calls: OpenCalls,
}

impl Session {
    fn of(host: Arc<Host>) -> Self {
        Self {
            host,
            passed_calls: OpenCalls::default(),
        }
    }

    async fn pass_on(&self, call: &PassedCall) -> Option<Result<PassedAnswer, OperatorError>> {
        passed_calls::pass_on(&self.host, call).await
    }

    async fn next_passed_call(&self) -> Option<TakenCall> {
        self.passed_calls.next(Arc::downgrade(&self.host)).await
    }

    async fn answer_passed_call(&self, id: &str, answer: &PassedAnswer) {
        let holder = &self.host.context.holder;
        self.passed_calls.answer(holder, id, answer).await;
    }

    /// Starts a sync. For a sync that was continued after a restart, a start with equal options succeeds.
    ///
    /// # Errors
    ///
    /// `StandbyInstance`, `InvalidStateTransition`, `OptionsMismatch`, `InvalidField`, and every error of the
    /// preflight.
    pub async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        calls::start(&self.host, options).await
    }

    /// Stops the work. Returns when the work has stopped and PAUSED is persisted.
    ///
    /// # Errors
    ///
    /// After an error the work has stopped as well; the state carries the error.
    pub async fn pause(&self) -> Result<(), OperatorError> {
        calls::pause(&self.host).await
    }

    /// Continues the work of a paused or failed sync. At a standby without an active host, tries the takeover at
    /// once.
    ///
    /// # Errors
    ///
    /// The reason for which the sync cannot run on this host, or a cluster that does not answer.
    pub async fn resume(&self) -> Result<(), OperatorError> {
        calls::resume(&self.host).await
    }

    /// Commits: ends the sync at the current cluster time of the source, after its block where the commit blocks it.
    /// Returns when the commit is persisted.
    ///
    /// # Errors
    ///
    /// `CannotCommit` with the reason while `canCommit` is false; `SyncMismatch` for another sync.
    pub async fn commit(&self, options: CommitOptions) -> Result<(), OperatorError> {
        calls::commit::commit(&self.host, options).await
    }

    /// Changes the load level, 1 to 4, from now on. Returns when it is persisted.
    ///
    /// # Errors
    ///
    /// `InvalidStateTransition` unless the sync is RUNNING or PAUSED, `StandbyInstance`.
    pub async fn load_level(&self, level: u8) -> Result<(), OperatorError> {
        calls::load_level(&self.host, level).await
    }

    /// Reverses the direction of a committed sync. Returns when the new direction works.
    ///
    /// # Errors
    ///
    /// `NotSupported` for a sync that was not started with `reversible`, `InvalidStateTransition` before COMMITTED.
    pub async fn reverse(&self) -> Result<(), OperatorError> {
        calls::reverse::reverse(&self.host).await
    }

    /// Stops the work, persists the position and releases the lease. Returns when all of this is durable; the
    /// process should end then ([`Self::handed_over`]).
    ///
    /// # Errors
    ///
    /// After an error this host still holds the lease, and the work has stopped.
    pub async fn handover(&self) -> Result<(), OperatorError> {
        handover::hand_over(&self.host).await
    }

    /// Every component that this host can run.
    pub async fn plugins(&self) -> Result<Vec<InstalledPlugin>, OperatorError> {
        plugins::list(&self.host).await
    }

    /// Checks, compiles and stores a component. Before the start of a sync the destination is unknown, so the
    /// component stays in memory until then.
    ///
    /// # Errors
    ///
    /// `PluginNotSupported`, `BodyTooLarge`, `StandbyInstance`.
    pub async fn add_plugin(&self, bytes: Vec<u8>) -> Result<InstalledPlugin, OperatorError> {
        plugins::add(&self.host, bytes).await
    }

    /// Deletes an uploaded component by its digest.
    ///
    /// # Errors
    ///
    /// `PluginInUse` for a component that is pinned or belongs to the release, `PluginNotFound`.
    pub async fn remove_plugin(&self, digest: &str) -> Result<(), OperatorError> {
        plugins::remove(&self.host, digest).await
    }

    /// Swaps components of the sync, between two batches if the sync is running. All components of a request are
    /// swapped, or none.
    ///
    /// # Errors
    ///
    /// `IncompatiblePlugin`, `PluginNotFound`, `InvalidStateTransition`.
    pub async fn upgrade(&self, upgrade: SwapRequest) -> Result<(), OperatorError> {
        let _turn = self.host.active_turn().await?;
        match self.host.active() {
            Some(active) => {
                let (registry, access) = (
                    &active.runtime.registry,
                    &self.host.context.settings.registry,
                );
                let wanted = upgrade.wanted();
                fetch_components(registry, access, &wanted).await?;
                swap::upgrade(&active, &self.host.context.monitor, &upgrade).await
            }
            None => Err(swap::nothing_to_upgrade(State::Idle)),
        }
    }

    /// Compares the selected collections with the source again, while the sync goes on. Returns their number when
    /// that is persisted.
    ///
    /// # Errors
    ///
    /// `NamespaceNotFound`; `InvalidStateTransition` without a sync, and once its commit has begun.
    pub async fn recopy(&self, selections: &[NamespaceSelection]) -> Result<u64, OperatorError> {
        recopy::recopy(&self.host, selections).await
    }

    /// Up to `limit` documents in quarantine with ids after `after`; an empty `after` begins the list.
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

    /// Retries every document in quarantine: reads it from the source and runs it through its plugins.
    ///
    /// # Errors
    ///
    /// `InvalidStateTransition` unless the sync is RUNNING and past the initial sync.
    pub async fn retry_quarantined(&self) -> Result<RetrySummary, OperatorError> {
        let _turn = self.host.active_turn().await?;
        let active = self.host.active();
        quarantine::retry(active.as_deref(), &self.host.context.monitor).await
    }

    /// Up to `limit` documents that differ or have differed, with ids after `after`; an empty `after` begins the list.
    pub async fn mismatches(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ListedMismatch>, OperatorError> {
        verification::mismatches(&self.host, after, limit).await
    }

    /// Has the running work write all documents that differ again from the source.
    ///
    /// # Errors
    ///
    /// `InvalidStateTransition` unless the sync is RUNNING or COMMITTING, and verified.
    pub async fn repair_mismatches(&self) -> Result<(), OperatorError> {
        verification::repair(&self.host).await
    }

    /// Has the running work verify all documents again.
    ///
    /// # Errors
    ///
    /// As [`Self::repair_mismatches`].
    pub async fn verify_again(&self) -> Result<(), OperatorError> {
        verification::restart(&self.host).await
    }

    /// The transfer of users and roles at present, with the names that do not simply arrive; `None` where none was asked
    /// for. Cancel safe.
    ///
    /// # Errors
    ///
    /// `MissingPrivileges` and `NotSupported` if the transfer is not possible.
    pub async fn users_and_roles(&self) -> Result<Option<PrincipalsSurvey>, OperatorError> {
        match self.host.active() {
            Some(active) => users::survey(&active, &self.host.context.monitor).await,
            None => Ok(None),
        }
    }

    /// The snapshot for `/progress`. Cancel safe. Waits for the destination for less than a second, at a standby only.
    pub async fn progress(&self) -> Progress {
        let context = &self.host.context;
        let progress = match self.host.role() {
            Role::Idle => progress::idle(&context.settings.id, &context.registry),
            Role::Active(active) => progress::of(&active, &context.monitor),
            Role::Standby(standby) => view::snapshot(context, &self.host.view, &standby).await,
        };
        let leader = progress.lease.as_ref().map(|lease| lease.holder.as_str());
        Progress {
            hosts: context.hosts.progress(leader),
            ..progress
        }
    }

    /// The course of the active sync; empty without one.
    pub fn history(&self) -> History {
        self.host.context.history.get()
    }

    /// Whether both clusters answer, with the role of this host.
    pub fn readiness(&self) -> Readiness {
        let (role, state) = self.host.role().shown();
        progress::readiness(role, state, &self.host.context.monitor)
    }

    /// Cancelled after a handover.
    pub fn handed_over(&self) -> &CancellationToken {
        &self.host.handed_over
    }

    /// Stops the work, persists the position and releases the lease, each within a bounded time. Idempotent.
    pub async fn leave(&self) {
        handover::leave(&self.host).await;
    }

    /// Leaves the sync ([`Self::leave`]), then closes the connections. Bounded in time although a cluster is
    /// silent.
    pub async fn shutdown(&self) {
        self.leave().await;
        let HostContext {
            monitor, clusters, ..
        } = &self.host.context;
        monitor.stop();
        // Closing waits for answers, which a silent cluster does not give.
        let shut = clusters.iter().map(|cluster| cluster.client.shutdown());
        let _ = timeout(SHUT_WITHIN, join_all(shut)).await;
    }
}
