//! A snapshot of a sync for `/progress`. Plain values; `api` gives them their
//! wire form.

use super::{
    ClusterTime, ComponentInfo, Namespace, State, latency::LatencyHistogram,
    plugins::PluginProgress,
};

#[derive(Clone, Debug)]
pub struct Progress {
    pub state: State,
    /// The sub-step, mongosync's words ("collection copy", …).
    pub info: Option<&'static str>,
    /// `None`: commit is possible. `Some(why)`: it is not.
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
    /// Documents that are in quarantine now.
    pub quarantined: u64,
    /// Durations of this process's transactions of change events on the destination.
    pub apply_latency: LatencyHistogram,
    /// The chain, in order; empty while no work is done.
    pub plugins: Vec<PluginProgress>,
    /// Who works on the sync; `None` before start.
    pub lease: Option<LeaseProgress>,
    pub upgrade: UpgradeProgress,
    pub feature_set: FeatureSetProgress,
}

/// Which host works on the sync, and since when for whom it was taken over.
#[derive(Clone, Debug, Default)]
pub struct LeaseProgress {
    /// True if it is this host, and the lease was renewed in time: another one may hold it else.
    pub ours: bool,
    /// `--id` of the host that works on the sync.
    pub instance: String,
    /// The id of its process.
    pub holder: String,
    pub release: String,
    pub term: i64,
    /// From what the host before applied last to what this one applied first; `None` until then.
    pub paused_ms: Option<i64>,
}

/// What live upgrades a sync has been through.
#[derive(Clone, Debug, Default)]
pub struct UpgradeProgress {
    /// `None` before start.
    pub metadata_version: Option<i32>,
    pub binary_version: &'static str,
    /// Oldest first.
    pub history: Vec<Upgrade>,
}

/// One live upgrade.
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

/// Whether a host can do its work, and which that is.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Both clusters answer.
    pub ready: bool,
    /// "active", "standby", or "idle" where no sync has begun.
    pub role: &'static str,
    /// The state of the sync; `None` at a standby, which reads it from the destination.
    pub state: Option<State>,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// Each cluster, and whether it answers.
    pub clusters: [(&'static str, bool); 2],
}

/// What this host has installed, and what the sync runs on.
#[derive(Clone, Debug, Default)]
pub struct FeatureSetProgress {
    pub name: String,
    pub version: String,
    /// By slot.
    pub pinned: Vec<ComponentPin>,
    /// What comes with this release.
    pub available: Vec<ComponentInfo>,
    /// What this release could do that the sync does not.
    pub deferred: Vec<FeatureDeferral>,
    /// Oldest first.
    pub swaps: Vec<SwapRecord>,
}

/// A component that the sync runs on.
#[derive(Clone, Debug)]
pub struct ComponentPin {
    /// What the sync uses it for.
    pub slot: String,
    pub component: ComponentInfo,
    /// The source's cluster time from which it applies; `None` if the sync began with it.
    pub since: Option<ClusterTime>,
}

/// A component or a feature that waits for a new sync, or for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureDeferral {
    pub name: String,
    pub reason: String,
}

/// A component that took the place of another one.
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
    /// The source's cluster time from which the new one applies.
    pub cluster_time: Option<ClusterTime>,
    /// What the new one would answer otherwise was copied again.
    pub recopied: bool,
}

/// Bytes of uncompressed documents. The total is an estimate: more can be copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyProgress {
    pub total_bytes: u64,
    pub copied_bytes: u64,
    pub copied_documents: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct IndexProgress {
    pub built: u64,
    pub total: u64,
    pub collections_finished: u64,
    pub collections_total: u64,
}

/// One side of the sync: the connection's name and the host it speaks to.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// "cluster0" or "cluster1"; empty before start.
    pub cluster: &'static str,
    /// `host:port` of the primary.
    pub address: String,
    pub ping_ms: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct CollectionProgress {
    pub namespace: Namespace,
    pub destination: Namespace,
    pub state: &'static str,
    pub documents: u64,
    pub bytes: u64,
}
