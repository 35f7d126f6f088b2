//! A snapshot of a sync for `/progress`. The room `api` has its wire form.

use super::{
    ClusterTime, ComponentInfo, Namespace, State, latency::LatencyHistogram,
    plugins::PluginProgress,
};

/// Progress of a sync.
#[derive(Clone, Debug)]
pub struct Progress {
    pub state: State,
    /// The step, with mongosync's names ("collection copy", …).
    pub info: Option<&'static str>,
    /// The reason why commit is not possible; `None` if it is possible.
    pub cannot_commit: Option<String>,
    pub can_write: bool,
    pub lag_seconds: Option<u32>,
    pub total_events_applied: u64,
    pub copy: CopyProgress,
    pub indexes: IndexProgress,
    /// Seconds until the stream has caught up, at the present rate.
    pub seconds_to_catch_up: Option<u64>,
    /// Seconds until the source's oplog rolls past the safe position, at its present rate.
    pub oplog_seconds_remaining: Option<u64>,
    pub warnings: Vec<String>,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub safe: Option<ClusterTime>,
    pub reported: Option<ClusterTime>,
    pub mongosync_id: String,
    pub coordinator_id: String,
    /// By source namespace.
    pub collections: Vec<CollectionProgress>,
    /// Documents in quarantine.
    pub quarantined: u64,
    /// Durations of this process's transactions of change events on the destination.
    pub apply_latency: LatencyHistogram,
    /// Plugins of the chain, in order; empty while no work runs.
    pub plugins: Vec<PluginProgress>,
    /// The lease; `None` before start.
    pub lease: Option<LeaseProgress>,
    pub upgrade: UpgradeProgress,
    pub feature_set: FeatureSetProgress,
}

/// The host that works on the sync, and the pause of its takeover.
#[derive(Clone, Debug, Default)]
pub struct LeaseProgress {
    /// True if this host holds the lease and renewed it in time. Otherwise another host may hold it.
    pub ours: bool,
    /// `--id` of the host that works on the sync.
    pub instance: String,
    /// The id of its process.
    pub holder: String,
    pub release: String,
    pub term: i64,
    /// Milliseconds between the last write of the previous host and the first write of this host; `None` before
    /// that.
    pub paused_ms: Option<i64>,
}

/// Live upgrades of a sync.
#[derive(Clone, Debug, Default)]
pub struct UpgradeProgress {
    /// `None` before start.
    pub metadata_version: Option<i32>,
    pub binary_version: &'static str,
    /// Oldest first.
    pub history: Vec<Upgrade>,
}

/// A live upgrade.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// RFC 3339, by the destination's clock.
    pub at: String,
    pub from_binary: String,
    pub to_binary: String,
    pub from_metadata: i32,
    pub to_metadata: i32,
    pub paused_ms: Option<i64>,
    pub outcome: String,
}

/// Readiness of a host for its role.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// True if both clusters answer.
    pub ready: bool,
    /// "active", "standby", or "idle" without a sync.
    pub role: &'static str,
    /// State of the sync; `None` at a standby, which has to read it from the destination.
    pub state: Option<State>,
    /// The reason why the host is not ready.
    pub reason: Option<String>,
    /// Name of each cluster, and true if it answers.
    pub clusters: [(&'static str, bool); 2],
}

/// Installed components of this host, and pinned components of the sync.
#[derive(Clone, Debug, Default)]
pub struct FeatureSetProgress {
    pub name: String,
    pub version: String,
    /// By slot.
    pub pinned: Vec<ComponentPin>,
    /// Components of this release.
    pub available: Vec<ComponentInfo>,
    /// Components and features of this release that the sync does not use.
    pub deferred: Vec<FeatureDeferral>,
    /// Oldest first.
    pub swaps: Vec<SwapRecord>,
}

/// A pinned component.
#[derive(Clone, Debug)]
pub struct ComponentPin {
    /// Its use in the sync.
    pub slot: String,
    pub component: ComponentInfo,
    /// The source's cluster time from which it applies; `None` for a component of the start.
    pub since: Option<ClusterTime>,
}

/// A component or a feature that waits for a new sync or for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureDeferral {
    pub name: String,
    pub reason: String,
}

/// The replacement of a component.
#[derive(Clone, Debug)]
pub struct SwapRecord {
    /// By the destination's clock, RFC 3339.
    pub at: String,
    pub slot: String,
    pub name: String,
    pub from_version: String,
    pub from_digest: String,
    pub to_version: String,
    pub to_digest: String,
    /// The source's cluster time from which the new component applies.
    pub cluster_time: Option<ClusterTime>,
    /// True if the affected namespaces were copied again.
    pub recopied: bool,
}

/// Progress of the copy, in uncompressed bytes. The total is an estimate, so the copied bytes can exceed it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyProgress {
    pub total_bytes: u64,
    pub copied_bytes: u64,
    pub copied_documents: u64,
}

/// Progress of the index build, in indexes and collections.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexProgress {
    pub built: u64,
    pub total: u64,
    pub collections_finished: u64,
    pub collections_total: u64,
}

/// A side of the sync: name of the connection and address of the server.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// "cluster0" or "cluster1"; empty before start.
    pub cluster: &'static str,
    /// `host:port` of the primary.
    pub address: String,
    pub ping_ms: Option<u64>,
}

/// Progress of a collection.
#[derive(Clone, Debug)]
pub struct CollectionProgress {
    pub namespace: Namespace,
    pub destination: Namespace,
    pub state: &'static str,
    pub documents: u64,
    pub bytes: u64,
}
