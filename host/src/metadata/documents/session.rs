//! The session: a sync as a whole.

use serde::{Deserialize, Serialize};

use crate::model::{ClusterTime, StartOptions, State};

/// Version of the documents' shapes. Strictly increasing.
///
/// - 1: tidegate 0.1.0 and 0.1.1
/// - 2: tidegate 0.2.0: the lease and its terms, components pinned by slot, features, swaps and
///   upgrades
/// - 3: tidegate 0.3.0: the position and the partitions in collections that older hosts do not
///   write, partitions that may be incomplete, intents of DDL
pub const METADATA_VERSION: i32 = 3;

/// Phase of a sync. Phases only go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    CollectionCopy,
    IndexBuild,
    ChangeEventApplication,
    /// Drained to the commit time; unique, TTL, hidden and capped settings are being restored.
    Restore,
    Done,
}

/// Collection `session`: one document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub metadata_version: i32,
    /// The release that worked on the sync last. A release of an older version names it to its operator.
    pub written_by: String,
    /// The release that began the sync. After a migration from version 1, the last release of version 1.
    pub begun_by: String,
    pub state: State,
    pub phase: Phase,
    pub options: StartOptions,
    /// Replica set ids of both clusters: they are compared at each takeover.
    pub source_id: String,
    pub destination_id: String,
    /// The cluster time at which the catalog was read and the change stream begins.
    pub start_time: ClusterTime,
    /// Estimate at the start, in bytes of uncompressed documents.
    pub total_bytes: i64,
    /// The source's cluster time of the commit, at which the sync ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_time: Option<ClusterTime>,
    /// Pinned components, by slot.
    #[serde(default)]
    pub pinned: Vec<PinnedComponent>,
    /// Native features of the release that began the sync, and features that a migration has turned on.
    #[serde(default)]
    pub features: Vec<String>,
    /// All swaps and adoptions, oldest first.
    #[serde(default)]
    pub swaps: Vec<SwapDocument>,
    /// All live upgrades, oldest first.
    #[serde(default)]
    pub upgrades: Vec<UpgradeDocument>,
    /// Ids of namespaces that a swap copies again and that are not marked as pending yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recopy: Vec<String>,
    /// Settings that commit could not restore.
    #[serde(default)]
    pub not_restored: Vec<String>,
    /// Warnings of the preflight.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl SessionDocument {
    /// `_id` of the only document.
    pub const ID: &'static str = "session";

    /// Id of the sync in logs, equal on all hosts: the source's replica set id and the start time.
    pub fn sync_id(&self) -> String {
        let time = self.start_time;
        format!("{}-{}.{}", self.source_id, time.seconds, time.increment)
    }
}

/// A pinned component: the sync runs it, also if another build of its name is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedComponent {
    /// Its use: `namespaceFilter`, `namespaceRemap`, `documentFilter`, or `plugins[0]` and so on.
    pub slot: String,
    /// `route` or `transform`.
    pub role: String,
    pub name: String,
    pub version: String,
    pub digest: String,
    pub abi: String,
    pub semantics: i64,
    /// The source's cluster time from which the component applies; absent for a component of the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<ClusterTime>,
}

/// The replacement of a component in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwapDocument {
    /// By the destination's clock.
    pub at: bson::DateTime,
    pub slot: String,
    pub name: String,
    pub from_version: String,
    pub from_digest: String,
    pub from_semantics: i64,
    pub to_version: String,
    pub to_digest: String,
    pub to_semantics: i64,
    /// The source's cluster time from which the new component applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_time: Option<ClusterTime>,
    /// True if the namespaces of the slot were copied again.
    pub recopied: bool,
}

/// A live upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeDocument {
    /// By the destination's clock.
    pub at: bson::DateTime,
    pub from_binary: String,
    pub to_binary: String,
    pub from_metadata: i32,
    pub to_metadata: i32,
    /// Milliseconds between the last write of the old host and the first write of the new host; `None` before
    /// that, and for a sync that was not running.
    pub paused_ms: Option<i64>,
    /// The way in which the old host left.
    pub outcome: String,
}
