//! The state machine of one sync, the task that does its work, and the lease under
//! which this host, and no other, does it.
//!
//! Calls are taken one at a time. A call that is refused has changed nothing;
//! one that succeeds has persisted the new state before it answers. No call waits long for a
//! cluster that does not answer (`patience`). What a sync is doing is one value (`state`): a sync
//! whose work has failed is shown as PAUSED, with the reason among its warnings: its
//! position is safe, and `resume`, or a restart, tries again.
//!
//! A host is idle, works on the sync, or is a standby: another host works on it, and
//! this one takes it over when that one leaves (`standby`, `takeover`).

mod active;
mod feature_set;
mod fitness;
mod lease;
mod monitor;
mod open;
mod patience;
mod pause;
mod pins;
mod plugins;
mod process;
mod progress;
mod quarantine;
mod rollback;
mod standby;
mod start;
mod state;
mod stop;
mod succession;
mod swap;
mod takeover;
mod view;

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
use fitness::Fitness;
use monitor::Monitor;
use patience::{Named, patiently, unless_silent};
use plugins::Uploads;
pub use rollback::{Rolled, rollback};
use standby::Standby;
use state::{SyncState, refuse};
use view::View;

/// How long a host that ends waits for its connections to be closed.
const SHUT_WITHIN: Duration = Duration::from_millis(500);
/// How long a host that leaves waits for the call that is being carried out.
const LEAVE_AFTER: Duration = Duration::from_secs(1);

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
    /// Whether this host could run the sync that it stands by for.
    fitness: Fitness,
    /// What a standby has read of the sync last.
    view: View,
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
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        self.refuse_standby()?;
        let Some(active) = self.active() else {
            let clusters = [
                Named(options.source, "source"),
                Named(options.destination, "destination"),
            ];
            let left_undone = "See GET /api/v1/progress once the cluster answers, and call start again if it shows IDLE.";
            let begin = start::start(self, options);
            let active = unless_silent(&self.monitor, clusters, left_undone, begin).await?;
            active.spawn(self).await?;
            self.set_role(Role::Active(active));
            return Ok(());
        };
        let differing = active.record.get().options.differing_fields(&options);
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
        active.stop().await?;
        active
            .persist(
                self,
                "The work has stopped, but PAUSED is not persisted: resume goes on, and so does a restart.",
                |session| session.state = State::Paused,
            )
            .await
            .inspect_err(|error| active.fail(error.clone()))
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
        active.configured(self).await?;
        active
            .persist(
                self,
                "Nothing was changed, and the work does not go on.",
                |session| {
                    session.state = if session.commit_time.is_some() {
                        State::Committing
                    } else {
                        State::Running
                    };
                },
            )
            .await?;
        active.spawn(self).await
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
            sync::take_commit_time(&active.source)
                .await
                .map_err(sync::Error::into_operator)
        })
        .await?;
        active
            .persist(self, unchanged, |session| {
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
        self.refuse_standby()?;
        let _turn = self.turn().await?;
        self.active_for(Call::Reverse)?;
        Err(OperatorError::new(
            ErrorName::NotSupported,
            "Reversing is not in this release. Start a new sync in the other direction, into an empty cluster.",
        ))
    }

    pub async fn progress(&self) -> Progress {
        progress::snapshot(self).await
    }

    /// Whether both clusters answer, and what this host is to the sync.
    pub fn readiness(&self) -> Readiness {
        progress::readiness(self)
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
        }
        self.leaving.cancel();
        self.handed_over.cancel();
        Ok(())
    }

    async fn give_away(&self, active: &ActiveSync) -> Result<(), OperatorError> {
        active.stop().await?;
        failpoint("handover_drained");
        let kept = "The work has stopped, and the lease is not given back: this host holds the sync. Call resume \
                    to go on here.";
        patiently(&self.monitor, active.destination_named(), kept, async {
            active.lease.release().await.map_err(takeover::operator)
        })
        .await
        .inspect_err(|error| active.fail(error.clone()))?;
        self.set_role(Role::Idle);
        Ok(())
    }

    /// Cancelled when the sync was handed over.
    pub fn handed_over(&self) -> &CancellationToken {
        &self.handed_over
    }

    /// Stops the work, persists the position, gives the lease back, and returns when all is safe,
    /// or when a cluster does not let it.
    pub async fn shutdown(&self) {
        self.leave().await;
        self.monitor.stop();
        // Waits for answers, which a silent cluster does not give.
        let shut = self
            .clusters
            .iter()
            .map(|cluster| cluster.client.driver().clone().shutdown().into_future());
        let _ = tokio::time::timeout(SHUT_WITHIN, futures::future::join_all(shut)).await;
    }

    /// Stops the work, persists the position and gives the lease back, as far as the clusters let
    /// it; repeating it is harmless.
    pub async fn leave(&self) {
        self.leaving.cancel();
        // A call that waits for a cluster does not keep the host from leaving.
        let _turn = tokio::time::timeout(LEAVE_AFTER, self.calls.lock()).await;
        if let Some(active) = self.active() {
            if let Err(error) = active.stop().await {
                tracing::warn!(error = %error, "the last position is not persisted; the one before it is");
            }
            failpoint("handover_drained");
            active.lease.abandon().await;
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

    /// The work of a sync is being done here.
    fn works(&self) -> bool {
        let state = self.active().map(|active| active.state());
        matches!(state, Some(SyncState::Running | SyncState::Committing))
    }

    fn refuse_standby(&self) -> Result<(), OperatorError> {
        match self.standby() {
            Some(standby) => Err(standby.refusal()),
            None => Ok(()),
        }
    }

    /// Like [`Self::refuse_standby`], for what a standby may do while no host works on the sync.
    fn refuse_working_elsewhere(&self) -> Result<(), OperatorError> {
        match self.standby() {
            Some(standby) if !standby.is_free() => Err(standby.refusal()),
            _ => Ok(()),
        }
    }

    fn active_for(&self, call: Call) -> Result<Arc<ActiveSync>, OperatorError> {
        match self.role() {
            Role::Idle => Err(refuse(State::Idle, call)),
            Role::Standby(standby) => Err(standby.refusal()),
            Role::Active(active) => active.state().allow(call).map(|()| active),
        }
    }
}
