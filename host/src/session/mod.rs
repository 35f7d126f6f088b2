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
mod calls;
mod feature_set;
mod fitness;
mod lease;
mod monitor;
mod notices;
mod open;
mod opening;
mod pace;
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
    sync::{Arc, PoisonError, RwLock, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    config::ConnectionString,
    metadata::Claim,
    model::{OperatorError, Progress, Readiness, options::ClusterName},
    mongo::{Cluster, preflight::Identity},
    observe::{self, failpoint},
    plugin::Registry,
};
use active::ActiveSync;
use fitness::Fitness;
use monitor::Monitor;
pub use opening::SessionHandle;
use plugins::Uploads;
pub use rollback::{Rolled, rollback};
use standby::Standby;
use state::SyncState;
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
    /// Where the secrets of plugins are.
    pub secrets_dir: Option<PathBuf>,
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
    pub async fn progress(&self) -> Progress {
        progress::snapshot(self).await
    }

    /// Whether both clusters answer, and what this host is to the sync.
    pub fn readiness(&self) -> Readiness {
        progress::readiness(self)
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
            let state = active.state().public();
            tracing::info!(sync_id = active.sync_id(), %state, "this host ends; the next one goes on with the sync");
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
}
