//! The state machine of one sync, the task that does its work, and the lease under
//! which this host, and no other, does it.
//!
//! Calls are taken one at a time. A call that is refused has changed nothing;
//! one that succeeds has persisted the new state before it answers. A sync whose
//! work has failed is shown as PAUSED, with the reason among its warnings: its
//! position is safe, and `resume`, or a restart, tries again.
//!
//! A host is idle, works on the sync, or is a standby: another host works on it, and
//! this one takes it over when that one leaves (`standby`, `takeover`).

mod active;
mod feature_set;
mod lease;
mod monitor;
mod open;
mod pause;
mod pins;
mod plugins;
mod process;
mod progress;
mod quarantine;
mod rollback;
mod standby;
mod start;
mod stop;
mod succession;
mod swap;
mod takeover;

use std::{
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    config::ConnectionString,
    metadata::Claim,
    model::{
        ErrorName, OperatorError, Progress, Readiness, StartOptions, State, options::ClusterName,
        state::Call,
    },
    mongo::{Cluster, preflight::Identity},
    observe::{self, failpoint},
    plugin::Registry,
    sync,
};
use active::ActiveSync;
use monitor::Monitor;
use plugins::Uploads;
pub use rollback::{Rolled, rollback};
use standby::Standby;

/// How long a host that ends waits for its connections to be closed.
const SHUT_WITHIN: Duration = Duration::from_secs(1);

/// What the session needs of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Instance id (`--id`), reported as `mongosyncID`.
    pub id: String,
    pub cluster0: ConnectionString,
    pub cluster1: ConnectionString,
    /// 1 to 4: how hard the sync works both clusters (mongosync's `loadLevel`).
    pub load_level: u8,
    /// A folder to read the feature set from, in place of the embedded one.
    pub feature_set: Option<PathBuf>,
    /// Plugins that import WASI are refused.
    pub refuse_wasi: bool,
    /// How long the lease on the sync lasts without a renewal.
    pub lease: Duration,
}

/// One sync: the handle that `api` calls.
pub struct Session {
    settings: Settings,
    /// What this process holds the lease as.
    holder: String,
    /// What others tell by whether it has died.
    process: String,
    clusters: [Cluster; 2],
    identities: [Identity; 2],
    registry: Arc<Registry>,
    uploads: Uploads,
    monitor: Arc<Monitor>,
    role: RwLock<Role>,
    /// Held by the call that is being carried out.
    calls: Mutex<()>,
    /// The sync was found persisted and goes on; `start` has not been called since.
    continues: AtomicBool,
    /// This host takes nothing over any more.
    leaving: CancellationToken,
    handed_over: CancellationToken,
}

/// What this host is to the sync.
#[derive(Clone, Default)]
enum Role {
    /// No sync has begun.
    #[default]
    Idle,
    Active(Arc<ActiveSync>),
    Standby(Arc<Standby>),
}

/// How a host calls itself to a server: also what another host finds its operations by.
fn app_name(release: &str, holder: &str) -> String {
    format!("tidegate {release} {holder}")
}

impl Session {
    /// Connects both clusters, and picks up a persisted sync, if there is one that no other
    /// host works on.
    pub async fn open(settings: Settings) -> Result<Arc<Self>, OperatorError> {
        open::open(settings).await
    }

    /// Begins a sync. For one that this host has picked up after a restart, the
    /// same options succeed and others are refused.
    pub async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        if let Some(standby) = self.standby() {
            return Err(standby.refusal());
        }
        let Some(active) = self.active() else {
            let active = start::start(self, options).await?;
            active.spawn(self).await?;
            self.set_role(Role::Active(active));
            return Ok(());
        };
        let record = active.record.get().await;
        let differing = record.options.differing_fields(&options);
        let continues = self.continues.load(Relaxed);
        if !differing.is_empty() && continues {
            return Err(OperatorError::new(
                ErrorName::OptionsMismatch,
                format!(
                    "The sync was begun with other options and they cannot change: {} differ. \
                     Start with the same options, or drop the destination's data and begin anew.",
                    differing.join(", ")
                ),
            ));
        }
        if continues && matches!(active.state().await, State::Running | State::Committing) {
            self.continues.store(false, Relaxed);
            return Ok(());
        }
        self.allow(&active, Call::Start).await
    }

    /// Stops the work; answers when it has stopped and the position is persisted.
    pub async fn pause(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let active = self.active_for(Call::Pause).await?;
        active.stop().await;
        active.update(|session| session.state = State::Paused).await
    }

    pub async fn resume(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let active = self.active_for(Call::Resume).await?;
        active
            .update(|session| {
                session.state = if session.commit_time.is_some() {
                    State::Committing
                } else {
                    State::Running
                };
            })
            .await?;
        active.spawn(self).await
    }

    /// Ends the sync at the source's present cluster time. Answers when that is persisted.
    pub async fn commit(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let active = self.active_for(Call::Commit).await?;
        if let Some(reason) = progress::cannot_commit(&active, &self.monitor).await {
            return Err(OperatorError::new(
                ErrorName::CannotCommit,
                format!(
                    "Commit is not possible yet. {reason} Wait until /progress shows canCommit true."
                ),
            ));
        }
        let time = sync::take_commit_time(&active.source)
            .await
            .map_err(sync::Error::into_operator)?;
        active
            .update(|session| {
                session.state = State::Committing;
                session.commit_time = Some(time);
            })
            .await?;
        active.status.set_step(sync::Step::WaitingForCommit);
        active.commit_time.send_replace(Some(time));
        Ok(())
    }

    /// Refused in this release: the direction of a sync cannot be swapped yet.
    pub async fn reverse(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        self.active_for(Call::Reverse).await?;
        Err(OperatorError::new(
            ErrorName::NotSupported,
            "Reversing is not in this release. Start a new sync in the other direction, into an empty cluster.",
        ))
    }

    pub async fn progress(&self) -> Progress {
        progress::snapshot(self).await
    }

    /// Whether both clusters answered last time, and what this host is to the sync.
    pub fn readiness(&self) -> Readiness {
        Readiness {
            ready: self.monitor.is_ready(),
            role: match self.role() {
                Role::Idle => "idle",
                Role::Active(_) => "active",
                Role::Standby(_) => "standby",
            },
        }
    }

    /// Stops the work, persists the position and gives the sync to whoever wants it; answers
    /// when all is safe. The process is to end then: see [`Self::handed_over`].
    pub async fn handover(&self) -> Result<(), OperatorError> {
        self.leave().await;
        self.handed_over.cancel();
        Ok(())
    }

    /// Cancelled when the sync was handed over.
    pub fn handed_over(&self) -> &CancellationToken {
        &self.handed_over
    }

    /// Stops the work, persists the position, gives the lease back, and returns when all is safe.
    pub async fn shutdown(&self) {
        self.leave().await;
        self.monitor.stop();
        for cluster in &self.clusters {
            // Waits for answers, which a silent cluster does not give.
            let shut = cluster.client.driver().clone().shutdown().into_future();
            let _ = tokio::time::timeout(SHUT_WITHIN, shut).await;
        }
    }

    /// Stops the work, persists the position and gives the lease back; repeating it is harmless.
    pub async fn leave(&self) {
        self.leaving.cancel();
        let _calls = self.calls.lock().await;
        if let Some(active) = self.active() {
            active.stop().await;
            failpoint("handover_drained");
            active.lease.release().await;
            self.set_role(Role::Idle);
        }
    }

    fn cluster(&self, name: ClusterName) -> &Cluster {
        let [cluster0, cluster1] = &self.clusters;
        match name {
            ClusterName::Cluster0 => cluster0,
            ClusterName::Cluster1 => cluster1,
        }
    }

    fn role(&self) -> Role {
        self.role
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_role(&self, role: Role) {
        if let Role::Active(active) = &role {
            self.monitor.watch(active);
        }
        *self.role.write().unwrap_or_else(PoisonError::into_inner) = role;
    }

    fn active(&self) -> Option<Arc<ActiveSync>> {
        match self.role() {
            Role::Active(active) => Some(active),
            Role::Idle | Role::Standby(_) => None,
        }
    }

    fn standby(&self) -> Option<Arc<Standby>> {
        match self.role() {
            Role::Standby(standby) => Some(standby),
            Role::Idle | Role::Active(_) => None,
        }
    }

    /// What this host asks for the lease with.
    fn claim(&self) -> Claim {
        Claim {
            holder: self.holder.clone(),
            instance: self.settings.id.clone(),
            release: observe::VERSION.to_owned(),
            process: self.process.clone(),
            duration: self.settings.lease,
        }
    }

    async fn active_for(&self, call: Call) -> Result<Arc<ActiveSync>, OperatorError> {
        match self.role() {
            Role::Idle => Err(refuse(State::Idle, call)),
            Role::Standby(standby) => Err(standby.refusal()),
            Role::Active(active) => self.allow(&active, call).await.map(|()| active),
        }
    }

    async fn allow(&self, active: &ActiveSync, call: Call) -> Result<(), OperatorError> {
        let state = active.state().await;
        if state.allows(call) {
            Ok(())
        } else {
            Err(refuse(state, call))
        }
    }
}

fn refuse(state: State, call: Call) -> OperatorError {
    let allowed: Vec<_> = state
        .allowed_calls()
        .iter()
        .map(ToString::to_string)
        .collect();
    let allowed = if allowed.is_empty() {
        "none".to_owned()
    } else {
        allowed.join(", ")
    };
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "{call} is not possible in state {state}. Calls that are: {allowed}. See GET /api/v1/progress."
        ),
    )
}
