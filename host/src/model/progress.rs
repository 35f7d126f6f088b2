//! A snapshot of a sync for `/progress`. The room `api` has its wire form.

use super::{
    ClusterTime, ComponentInfo, ErrorName, Namespace, StartOptions, State, hosts::HostProgress,
    latency::LatencyHistogram, plugins::PluginProgress, principals::PrincipalsProgress,
};

/// Progress of a sync.
#[derive(Clone, Debug)]
pub struct Progress {
    /// State of the sync; `IDLE` before start.
    pub state: State,
    /// The step, with mongosync's names ("collection copy", …).
    pub info: Option<&'static str>,
    /// The reason why commit is not possible; `None` if it is possible.
    pub cannot_commit: Option<String>,
    /// True if applications may write to the destination, from `COMMITTED` on.
    pub can_write: bool,
    /// Lag in seconds of the source's time, from the newest applied event to the newest write, or to the commit time
    /// in `COMMITTING`. `None` in other states than `RUNNING` and `COMMITTING`, and while a cluster is silent.
    pub lag_seconds: Option<u32>,
    /// Change events that are applied and persisted. It never decreases.
    pub total_events_applied: u64,
    /// Progress of the copy.
    pub copy: CopyProgress,
    /// Progress of the index build.
    pub indexes: IndexProgress,
    /// Seconds until the stream has caught up, at the present rate.
    pub seconds_to_catch_up: Option<u64>,
    /// Seconds until the source's oplog rolls past the safe position, at its present rate.
    pub oplog_seconds_remaining: Option<u64>,
    /// Sentences for the operator. The reason for a stop of the work comes first.
    pub warnings: Vec<String>,
    /// The source; the default before start.
    pub source: Endpoint,
    /// The destination; the default before start.
    pub destination: Endpoint,
    /// Safe position: the persisted position, from which a restart resumes.
    pub safe: Option<ClusterTime>,
    /// Reported position, up to which events are applied.
    pub reported: Option<ClusterTime>,
    /// `--id` of this host.
    pub mongosync_id: String,
    /// `--id` of the host that works on the sync; of this host where none is known.
    pub coordinator_id: String,
    /// By source namespace.
    pub collections: Vec<CollectionProgress>,
    /// Failed index builds of this process, which the commit repeats.
    pub index_failures: Vec<IndexFailure>,
    /// Documents in quarantine.
    pub quarantined: u64,
    /// Change events of this process that came without their documents, which were looked up.
    pub oversize_events: u64,
    /// Durations of this process's transactions of change events on the destination.
    pub apply_latency: LatencyHistogram,
    /// Durations of this process's batches of the copy on the destination.
    pub copy_latency: LatencyHistogram,
    /// The error that has stopped the work.
    pub failure: Option<ErrorName>,
    /// The time at which a commit was undone, by the destination's clock, in milliseconds since the Unix epoch.
    pub commit_undone_at_ms: Option<i64>,
    /// Plugins of the chain, in order; empty while no work runs.
    pub plugins: Vec<PluginProgress>,
    /// The delay for a cluster; `None` while nothing is slowed.
    pub throttle: Option<ThrottleProgress>,
    /// The lease; `None` before start.
    pub lease: Option<LeaseProgress>,
    /// The registered hosts of the sync.
    pub hosts: Vec<HostProgress>,
    /// Live upgrades of the sync.
    pub upgrade: UpgradeProgress,
    /// Installed and pinned components.
    pub feature_set: FeatureSetProgress,
    /// The newest resync.
    pub resync: Option<ResyncProgress>,
    /// Comparisons since the start of this host.
    pub comparison: ComparisonProgress,
    /// The write blocks; `None` before start, and for a sync that sets none.
    pub write_blocking: Option<WriteBlocksProgress>,
    /// Id of the sync; `None` before start and at a standby.
    pub sync_id: Option<String>,
    /// Milliseconds for which applications could not write at the cutover; `None` before its end.
    pub blocked_ms: Option<i64>,
    /// The comparison of both clusters; `None` where documents are not verified.
    pub verification: Option<VerificationProgress>,
    /// The same by collection, with namespaces of the source.
    pub verified_collections: Vec<(Namespace, CollectionVerification)>,
    /// The transfer of users and roles; `None` before its first check, and where none was asked for.
    pub principals: Option<PrincipalsProgress>,
    /// Options of the start; `None` before start and at a standby.
    pub options: Option<StartOptions>,
}

/// The write blocks of a sync.
#[derive(Clone, Debug)]
pub struct WriteBlocksProgress {
    /// The block of the source; `None` if the sync sets none there.
    pub source: Option<BlockProgress>,
    /// The block of the destination; `None` if the sync sets none there.
    pub destination: Option<BlockProgress>,
}

/// The block of user writes of a cluster.
#[derive(Clone, Debug)]
pub struct BlockProgress {
    /// Whether user writes are blocked; `None` before the first look.
    pub is_blocked: Option<bool>,
    /// True if the sync has set the block, or is about to.
    pub is_ours: bool,
}

/// A resync: a lost position, and the position in its place.
#[derive(Clone, Debug)]
pub struct ResyncProgress {
    /// By the destination's clock, RFC 3339.
    pub at: String,
    /// The loss of the position, in words.
    pub reason: String,
    /// The lost position.
    pub from: ClusterTime,
    /// The position from which the sync went on; `None` until it is persisted.
    pub to: Option<ClusterTime>,
    /// True if all collections are compared.
    pub done: bool,
}

/// Comparisons of this host: of a resync, and of collections that are copied again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComparisonProgress {
    /// Documents of the source that were compared.
    pub documents: u64,
    /// Bytes of these documents, uncompressed.
    pub bytes: u64,
    /// Documents that were missing, extra or different on the destination, and are written.
    pub differences: u64,
}

/// The delay of the work for a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleProgress {
    /// The cluster and the cause.
    pub reason: String,
    /// Beginning of the delays, by the clock of the cluster, RFC 3339.
    pub since: String,
    /// Milliseconds before each batch of the copy, or each transaction of change events.
    pub delay_ms: u64,
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
    /// Release of the host that works on the sync.
    pub release: String,
    /// Term of the lease, one higher at each takeover.
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
    /// Release of this host.
    pub binary_version: &'static str,
    /// Oldest first.
    pub history: Vec<Upgrade>,
}

/// A live upgrade.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// RFC 3339, by the destination's clock.
    pub at: String,
    /// Release of the previous host.
    pub from_binary: String,
    /// Release of the host that took over.
    pub to_binary: String,
    /// Metadata version before the takeover.
    pub from_metadata: i32,
    /// Metadata version after the takeover.
    pub to_metadata: i32,
    /// Milliseconds between the last write of the previous host and the first write of the next host; `None` before
    /// that, and for a sync that was not running.
    pub paused_ms: Option<i64>,
    /// The end of the previous host, in words: "handed over", ….
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
    /// Name of the installed feature set: the name of its release.
    pub name: String,
    /// Version of the installed feature set.
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
    /// The pinned build, which can differ from the installed build.
    pub component: ComponentInfo,
    /// The source's cluster time from which it applies; `None` for a component of the start.
    pub since: Option<ClusterTime>,
    /// The key that has signed it.
    pub signed_by: Option<String>,
}

/// A component or a feature that waits for a new sync or for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureDeferral {
    /// Name of the component or the feature.
    pub name: String,
    /// Sentences for the operator: the cause, and the way to use it.
    pub reason: String,
}

/// The replacement of a component.
#[derive(Clone, Debug)]
pub struct SwapRecord {
    /// By the destination's clock, RFC 3339.
    pub at: String,
    /// The component's use in the sync: `namespaceFilter`, `plugins[0]`, ….
    pub slot: String,
    /// Name of both components.
    pub name: String,
    /// Version of the replaced component.
    pub from_version: String,
    /// Digest of the replaced component: `sha256:` and lower-case hex.
    pub from_digest: String,
    /// Version of the successor.
    pub to_version: String,
    /// Digest of the successor: `sha256:` and lower-case hex.
    pub to_digest: String,
    /// The source's cluster time from which the new component applies.
    pub cluster_time: Option<ClusterTime>,
    /// True if the affected namespaces were copied again.
    pub recopied: bool,
}

/// Progress of the copy, in uncompressed bytes. The total is an estimate, so the copied bytes can exceed it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyProgress {
    /// Estimated bytes of all documents in scope.
    pub total_bytes: u64,
    /// Bytes of copied documents.
    pub copied_bytes: u64,
    /// Number of copied documents.
    pub copied_documents: u64,
}

/// Progress of the index build, in indexes and collections.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexProgress {
    /// Indexes that are built on the destination.
    pub built: u64,
    /// Indexes to build.
    pub total: u64,
    /// Collections whose index build is over.
    pub collections_finished: u64,
    /// Collections in scope, without views.
    pub collections_total: u64,
}

/// A side of the sync: name of the connection and address of the server.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// "cluster0" or "cluster1"; empty before start.
    pub cluster: &'static str,
    /// `host:port` of the primary.
    pub address: String,
    /// Round-trip time to the cluster in milliseconds; `None` while it is silent or before the first answer.
    pub ping_ms: Option<u64>,
}

/// Progress of a collection.
#[derive(Clone, Debug)]
pub struct CollectionProgress {
    /// Namespace on the source.
    pub namespace: Namespace,
    /// Namespace on the destination.
    pub destination: Namespace,
    /// "pending", "copying", "copied" or "ready"; "ready" has its indexes, too.
    pub state: &'static str,
    /// Copied documents.
    pub documents: u64,
    /// Uncompressed bytes of copied documents.
    pub bytes: u64,
    /// Documents that are copied or changed on the destination, by this process.
    pub documents_per_second: f64,
}

/// An index that the destination has refused to build. The commit builds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFailure {
    /// Namespace on the source.
    pub namespace: Namespace,
    /// Name of the index.
    pub index: String,
    /// The error, without values of documents.
    pub reason: String,
}

/// Progress of the verification.
#[derive(Clone, Debug, Default)]
pub struct VerificationProgress {
    /// The source's cluster time up to which every document is proven equal; `None` before that, and with mismatches.
    pub verified_to: Option<ClusterTime>,
    /// The source's cluster time of the last comparison.
    pub boundary: Option<ClusterTime>,
    /// Documents that were compared and found equal.
    pub documents: u64,
    /// Collections to verify: all in scope without capped collections and views.
    pub collections: u64,
    /// Collections of which every document was compared.
    pub collections_verified: u64,
    /// Mismatches that are open.
    pub mismatches: u64,
    /// Mismatches that were repaired.
    pub repaired: u64,
    /// Documents that other clients have written on the destination.
    pub written_by_others: u64,
    /// Whether such writes can be seen; `None` before the first comparison.
    pub sees_foreign_writes: Option<bool>,
    /// The reason why the last slice has failed.
    pub failure: Option<String>,
    /// Documents of the sync, estimated.
    pub estimated_documents: u64,
    /// Seconds between the source's newest cluster time and the last comparison; `None` while it is unknown.
    pub lag_seconds: Option<u32>,
}

/// Progress of the verification of a collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct CollectionVerification {
    /// Documents that were compared and found equal.
    pub documents: u64,
    /// Every document was compared.
    pub complete: bool,
}
