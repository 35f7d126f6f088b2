//! The parts of a host that do not depend on its role: settings, connections, components, and its identity
//! towards other hosts.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    active::Runtime,
    audit::AuditTrail,
    components::uploads::Uploads,
    history::HistoryKeeper,
    hooks::Hooks,
    host_list::HostList,
    progress::{monitor::Monitor, sync_watch::SyncWatch},
};
use crate::{
    config::{ConnectionString, HookOptions, RegistryAccess},
    metadata::Claim,
    model::options::ClusterName,
    mongo::{Cluster, preflight::Identity},
    observe,
    plugin::Registry,
    sync::{ItemHolders, Workers},
};

/// The part of the configuration that a session needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Instance id (`--id`), reported as `mongosyncID`.
    pub id: String,
    /// Connection string of the cluster named `cluster0`.
    pub cluster0: ConnectionString,
    /// Connection string of the cluster named `cluster1`.
    pub cluster1: ConnectionString,
    /// 1 to 4: how hard the sync works both clusters (mongosync's `loadLevel`).
    pub load_level: u8,
    /// The folder of a feature set that replaces the embedded feature set.
    pub feature_set: Option<PathBuf>,
    /// The directory with the secrets of plugins (`--secretsDir`).
    pub secrets_dir: Option<PathBuf>,
    /// Access to registries of components.
    pub registry: RegistryAccess,
    /// Whether plugins that import WASI are refused.
    pub refuse_wasi: bool,
    /// Duration of the lease on the sync: a host that has not renewed it for this long loses it.
    pub lease: Duration,
    /// Receivers of the sync's occurrences.
    pub hooks: Vec<HookOptions>,
}

/// The parts of a host that are the same in every role.
pub(super) struct HostContext {
    pub(super) settings: Settings,
    /// Id of this process as a holder of the lease: a random UUID, new at each start.
    pub(super) holder: String,
    /// Identity of this process on its machine ([`this_process`](super::lease::process::this_process)), from
    /// which other hosts see whether it has died.
    pub(super) process: String,
    /// `cluster0` and `cluster1`, connected.
    pub(super) clusters: [Cluster; 2],
    /// The identities of the two clusters, in the same order.
    pub(super) identities: [Identity; 2],
    /// Components that this host can run.
    pub(super) registry: Arc<Registry>,
    /// Uploads in memory, before the start of a sync.
    pub(super) uploads: Uploads,
    /// Watches both clusters.
    pub(super) monitor: Arc<Monitor>,
    /// Watches the active sync.
    pub(super) watch: Arc<SyncWatch>,
    /// Receivers of the active sync's occurrences.
    pub(super) hooks: Hooks,
    /// Keeps the course of the active sync.
    pub(super) history: HistoryKeeper,
    /// The registered hosts of the sync.
    pub(super) hosts: HostList,
    /// The registered hosts that get items from this host.
    pub(super) holders: Arc<ItemHolders>,
    /// Records of calls of this host.
    pub(super) audit: Arc<AuditTrail>,
}

impl HostContext {
    /// The cluster with this name.
    pub(super) fn cluster(&self, name: ClusterName) -> &Cluster {
        let [cluster0, cluster1] = &self.clusters;
        match name {
            ClusterName::Cluster0 => cluster0,
            ClusterName::Cluster1 => cluster1,
        }
    }

    /// The claim with which this host takes the lease.
    pub(super) fn claim(&self) -> Claim {
        Claim {
            holder: self.holder.clone(),
            instance: self.settings.id.clone(),
            release: observe::VERSION.to_owned(),
            process: self.process.clone(),
            duration: self.settings.lease,
        }
    }

    /// The share of the context that an active sync keeps.
    pub(super) fn runtime(&self) -> Runtime {
        Runtime {
            instance: self.settings.id.clone(),
            registry: self.registry.clone(),
            workers: Workers::of_load_level(self.settings.load_level),
            holders: self.holders.clone(),
        }
    }
}
