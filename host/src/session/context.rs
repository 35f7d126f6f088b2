//! What this process has: its settings, its connections, its components, and who it is to other hosts.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    active::Runtime,
    components::uploads::Uploads,
    progress::{monitor::Monitor, sync_watch::SyncWatch},
};
use crate::{
    config::ConnectionString,
    metadata::Claim,
    model::options::ClusterName,
    mongo::{Cluster, preflight::Identity},
    observe,
    plugin::Registry,
    sync::Workers,
};

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

/// What a host has whatever its role is.
pub(super) struct HostContext {
    pub(super) settings: Settings,
    /// What this process holds the lease as.
    pub(super) holder: String,
    /// What others tell by whether it has died.
    pub(super) process: String,
    pub(super) clusters: [Cluster; 2],
    pub(super) identities: [Identity; 2],
    pub(super) registry: Arc<Registry>,
    pub(super) uploads: Uploads,
    pub(super) monitor: Arc<Monitor>,
    pub(super) watch: Arc<SyncWatch>,
}

impl HostContext {
    pub(super) fn cluster(&self, name: ClusterName) -> &Cluster {
        let [cluster0, cluster1] = &self.clusters;
        match name {
            ClusterName::Cluster0 => cluster0,
            ClusterName::Cluster1 => cluster1,
        }
    }

    /// What this host asks for the lease with.
    pub(super) fn claim(&self) -> Claim {
        Claim {
            holder: self.holder.clone(),
            instance: self.settings.id.clone(),
            release: observe::VERSION.to_owned(),
            process: self.process.clone(),
            duration: self.settings.lease,
        }
    }

    /// What a sync that this host works on needs of it.
    pub(super) fn runtime(&self) -> Runtime {
        Runtime {
            instance: self.settings.id.clone(),
            registry: self.registry.clone(),
            workers: Workers::of_load_level(self.settings.load_level),
        }
    }
}
