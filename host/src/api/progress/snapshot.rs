//! The answer of `GET /progress`: mongosync's fields under mongosync's names, and additional fields of tidegate, whose
//! names mongosync does not use.
//!
//! In IDLE all fields but `state`, `canCommit`, `canWrite` and the ids are null.

use serde::Serialize;
use utoipa::ToSchema;

use super::collection::Collection;
use super::feature_set::FeatureSet;
use super::hosts::HostBody;
use super::index_builds::IndexBuilds;
use super::position::Positions;
use super::principals::PrincipalsBody;
use super::resync::{ComparisonBody, ResyncBody};
use super::throttle::Throttle;
use super::upgrade::{LeaseBody, UpgradeBody};
use super::verification::Verification;
use super::write_blocking::WriteBlocks;
use crate::model::plugins::PluginProgress;
use crate::model::progress::{CopyProgress, Endpoint};
use crate::model::{Progress, State};

/// Answer of `GET /progress`.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ProgressAnswer {
    success: bool,
    progress: ProgressBody,
}

/// A snapshot of the sync.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProgressBody {
    /// IDLE, RUNNING, PAUSED, COMMITTING, COMMITTED or REVERSING.
    state: String,
    /// Whether a commit would be accepted now.
    can_commit: bool,
    /// Whether applications may write to the destination.
    can_write: bool,
    /// Reason of a canCommit that is false.
    can_commit_reason: Option<String>,
    /// Current step of the work.
    info: Option<&'static str>,
    /// Newest cluster time of the source minus newest applied cluster time. Null when PAUSED.
    lag_time_seconds: Option<u32>,
    lag: Option<Lag>,
    /// Persisted change events only, so that the number survives restarts.
    total_events_applied: Option<u64>,
    collection_copy: Option<CollectionCopy>,
    /// Absent before a sync, as in mongosync: its monitor looks into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_building: Option<IndexBuilds>,
    /// Seconds until change event application has caught up.
    #[serde(rename = "estimatedSecondsToCEACatchup")]
    estimated_seconds_to_cea_catchup: Option<u64>,
    /// "12 hours", "45 minutes", "more than 72 hours", "less than 15 minutes".
    estimated_oplog_time_remaining: Option<String>,
    warnings: Option<Vec<String>>,
    source: Option<PingLatency>,
    destination: Option<PingLatency>,
    direction_mapping: Option<DirectionMapping>,
    #[serde(rename = "mongosyncID")]
    mongosync_id: String,
    #[serde(rename = "coordinatorID")]
    coordinator_id: String,
    positions: Option<Positions>,
    /// Number of documents in quarantine now.
    quarantined: Option<u64>,
    /// Stages of the chain, in order, with their numbers since the start of this host.
    plugins: Option<Vec<Plugin>>,
    /// The delay of the sync for the load of a cluster. Null while nothing is slowed.
    throttle: Option<Throttle>,
    /// The host that works on the sync.
    lease: Option<LeaseBody>,
    /// The registered hosts: the leader, and those that take the sync over.
    hosts: Option<Vec<HostBody>>,
    upgrade: Option<UpgradeBody>,
    feature_set: Option<FeatureSet>,
    /// Null before the first resync.
    resync: Option<ResyncBody>,
    comparison: Option<ComparisonBody>,
    /// Id of the sync, for the field sync of a commit.
    #[serde(rename = "syncID")]
    sync_id: Option<String>,
    write_blocking: Option<WriteBlocks>,
    /// Milliseconds for which applications could not write at the cutover: from the block of the source, or from the
    /// call of commit, to canWrite.
    blocked_ms: Option<i64>,
    /// Null before the first check, and in a sync without usersAndRoles.
    users_and_roles: Option<PrincipalsBody>,
    /// Null where documents are not verified.
    verification: Option<Verification>,
    /// Only with `?collections=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    collections: Option<Vec<Collection>>,
}

/// Lag of the destination, in seconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "mongosync's names")]
struct Lag {
    overall_lag_seconds: u32,
    crud_lag_seconds: u32,
    ddl_lag_seconds: u32,
}

/// Progress of the collection copy, in bytes of uncompressed documents.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CollectionCopy {
    estimated_total_bytes: u64,
    estimated_copied_bytes: u64,
}

/// Latency of a cluster.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ping)]
struct PingLatency {
    /// Absent while the cluster does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    ping_latency_ms: Option<u64>,
}

/// Connection and address of each cluster.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct DirectionMapping {
    /// "cluster0: host:port".
    source: String,
    destination: String,
}

/// Numbers of a stage of the chain, counted since the start of the host.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PluginProgress)]
struct Plugin {
    name: String,
    digest: String,
    /// Documents given to the component.
    documents: u64,
    kept: u64,
    dropped: u64,
    replaced: u64,
    quarantined: u64,
    /// Documents and batches that the component answered with an error, or in violation of the contract.
    errors: u64,
    /// Calls that ended in a trap.
    traps: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// Median duration of a call, which is given one batch.
    p50_micros: u64,
    /// 99th percentile of the same.
    p99_micros: u64,
}

impl ProgressAnswer {
    /// The answer for a snapshot.
    pub(in crate::api) fn new(progress: Progress, with_collections: bool) -> Self {
        Self {
            success: true,
            progress: ProgressBody::new(progress, with_collections),
        }
    }
}

impl ProgressBody {
    fn new(progress: Progress, with_collections: bool) -> Self {
        let mut body = Self {
            state: progress.state.to_string(),
            can_commit: progress.cannot_commit.is_none(),
            can_write: progress.can_write,
            can_commit_reason: None,
            info: None,
            lag_time_seconds: None,
            lag: None,
            total_events_applied: None,
            collection_copy: None,
            index_building: None,
            estimated_seconds_to_cea_catchup: None,
            estimated_oplog_time_remaining: None,
            warnings: None,
            source: None,
            destination: None,
            direction_mapping: None,
            mongosync_id: progress.mongosync_id.clone(),
            coordinator_id: progress.coordinator_id.clone(),
            positions: None,
            quarantined: None,
            plugins: None,
            lease: None,
            hosts: None,
            throttle: None,
            upgrade: None,
            feature_set: None,
            resync: None,
            comparison: None,
            sync_id: None,
            write_blocking: None,
            blocked_ms: None,
            users_and_roles: None,
            verification: None,
            collections: None,
        };
        if progress.state != State::Idle {
            body.describe(progress, with_collections);
        } else if progress.info.is_some() {
            // The host still waits for its clusters, and does not know whether a sync exists.
            body.info = progress.info;
            body.can_commit_reason = progress.cannot_commit;
            body.warnings = Some(progress.warnings);
        }
        body
    }

    fn describe(&mut self, progress: Progress, with_collections: bool) {
        self.can_commit_reason = progress.cannot_commit;
        self.info = progress.info;
        self.lag_time_seconds = progress.lag_seconds;
        self.lag = progress.lag_seconds.map(Lag::new);
        self.total_events_applied = Some(progress.total_events_applied);
        self.collection_copy = Some(progress.copy.into());
        self.index_building = Some(IndexBuilds::new(progress.indexes, progress.index_failures));
        self.estimated_seconds_to_cea_catchup = progress.seconds_to_catch_up;
        self.estimated_oplog_time_remaining =
            progress.oplog_seconds_remaining.map(oplog_time_remaining);
        self.warnings = Some(progress.warnings);
        self.direction_mapping = Some(DirectionMapping::new(
            &progress.source,
            &progress.destination,
        ));
        self.source = Some(PingLatency {
            ping_latency_ms: progress.source.ping_ms,
        });
        self.destination = Some(PingLatency {
            ping_latency_ms: progress.destination.ping_ms,
        });
        self.positions = Some(Positions::new(progress.safe, progress.reported));
        self.quarantined = Some(progress.quarantined);
        self.throttle = progress.throttle.map(Throttle::from);
        self.lease = progress.lease.map(LeaseBody::from);
        self.hosts = Some(progress.hosts.into_iter().map(HostBody::from).collect());
        self.upgrade = Some(progress.upgrade.into());
        self.plugins = Some(progress.plugins.into_iter().map(Plugin::from).collect());
        self.feature_set = Some(progress.feature_set.into());
        self.resync = progress.resync.map(ResyncBody::from);
        self.comparison = Some(progress.comparison.into());
        self.sync_id = progress.sync_id;
        self.write_blocking = progress.write_blocking.map(WriteBlocks::from);
        self.blocked_ms = progress.blocked_ms;
        self.users_and_roles = progress.principals.map(PrincipalsBody::from);
        self.verification = progress.verification.map(Verification::from);
        self.collections =
            with_collections.then(|| progress.collections.iter().map(Collection::new).collect());
    }
}

impl Lag {
    /// Documents and DDL arrive in one ordered stream, so their lags are equal.
    fn new(seconds: u32) -> Self {
        Self {
            overall_lag_seconds: seconds,
            crud_lag_seconds: seconds,
            ddl_lag_seconds: seconds,
        }
    }
}

impl From<CopyProgress> for CollectionCopy {
    /// The total is an estimate: it is raised to the copied bytes where these exceed it. It is never 0, because scripts
    /// divide by it.
    fn from(copy: CopyProgress) -> Self {
        Self {
            estimated_total_bytes: copy.total_bytes.max(copy.copied_bytes).max(1),
            estimated_copied_bytes: copy.copied_bytes,
        }
    }
}

impl DirectionMapping {
    fn new(source: &Endpoint, destination: &Endpoint) -> Self {
        let form = |endpoint: &Endpoint| format!("{}: {}", endpoint.cluster, endpoint.address);
        Self {
            source: form(source),
            destination: form(destination),
        }
    }
}

impl From<PluginProgress> for Plugin {
    fn from(plugin: PluginProgress) -> Self {
        Self {
            name: plugin.name,
            digest: plugin.digest,
            documents: plugin.documents,
            kept: plugin.kept,
            dropped: plugin.dropped,
            replaced: plugin.replaced,
            quarantined: plugin.quarantined,
            errors: plugin.errors,
            traps: plugin.traps,
            bytes_in: plugin.bytes_in,
            bytes_out: plugin.bytes_out,
            p50_micros: plugin.p50_us,
            p99_micros: plugin.p99_us,
        }
    }
}

/// A duration in mongosync's wording.
fn oplog_time_remaining(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    match seconds {
        s if s > 72 * HOUR => "more than 72 hours".to_owned(),
        s if s >= 2 * HOUR => format!("{} hours", s / HOUR),
        s if s >= 15 * MINUTE => format!("{} minutes", s / MINUTE),
        _ => "less than 15 minutes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::oplog_time_remaining;

    #[test]
    fn oplog_time_is_worded_as_mongosync_does() {
        for (seconds, words) in [
            (0, "less than 15 minutes"),
            (899, "less than 15 minutes"),
            (900, "15 minutes"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (12 * 3600 + 59, "12 hours"),
            (72 * 3600 + 1, "more than 72 hours"),
        ] {
            assert_eq!(oplog_time_remaining(seconds), words);
        }
    }
}
