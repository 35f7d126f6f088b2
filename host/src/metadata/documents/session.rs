//! The session: a sync as a whole.

use serde::{Deserialize, Serialize};

use crate::model::{ClusterTime, StartOptions, State};

/// The shapes of all documents. Strictly increasing.
///
/// - 1: tidegate 0.1.0 and 0.1.1
/// - 2: tidegate 0.2.0: the lease and its terms, components pinned by slot, features, swaps and
///   upgrades
/// - 3: tidegate 0.3.0: the position and the partitions in collections that older hosts do not
///   write, partitions that may be incomplete, intents of DDL
pub const METADATA_VERSION: i32 = 3;

/// How far a sync has come. Phases only go forward.
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
    /// The release that has worked on the sync last: what a release of an older version
    /// tells its operator to use.
    pub written_by: String,
    /// The release that began the sync, as far as version 1 knew it: the last one of its own.
    pub begun_by: String,
    pub state: State,
    pub phase: Phase,
    pub options: StartOptions,
    /// What both clusters are recognised by after a restart.
    pub source_id: String,
    pub destination_id: String,
    /// The cluster time at which the catalog was read and the change stream begins.
    pub start_time: ClusterTime,
    /// Bytes of documents to copy, estimated at start.
    pub total_bytes: i64,
    /// The source's cluster time of a commit: the sync ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_time: Option<ClusterTime>,
    /// The components that the sync runs on, one for each use.
    #[serde(default)]
    pub pinned: Vec<PinnedComponent>,
    /// The native features that the sync was begun with, or that a migration has turned on.
    #[serde(default)]
    pub features: Vec<String>,
    /// Every component that took the place of another, oldest first.
    #[serde(default)]
    pub swaps: Vec<SwapDocument>,
    /// Every other release, or metadata version, that has taken the sync over, oldest first.
    #[serde(default)]
    pub upgrades: Vec<UpgradeDocument>,
    /// Namespaces, by id, that a swap wants copied again and that are not marked so yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recopy: Vec<String>,
    /// What commit could not restore, by name.
    #[serde(default)]
    pub not_restored: Vec<String>,
    /// What the preflight warned of.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl SessionDocument {
    pub const ID: &'static str = "session";

    /// Names the sync in logs, the same on each host: its source's set, and when it began.
    pub fn sync_id(&self) -> String {
        let time = self.start_time;
        format!("{}-{}.{}", self.source_id, time.seconds, time.increment)
    }
}

/// A component that a sync goes on with, whatever else is installed by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedComponent {
    /// What the sync uses it for: `namespaceFilter`, `namespaceRemap`, `documentFilter`, or
    /// `plugins[0]` and so on.
    pub slot: String,
    /// `route` or `transform`.
    pub role: String,
    pub name: String,
    pub version: String,
    pub digest: String,
    pub abi: String,
    pub semantics: i64,
    /// The source's cluster time from which a component that was swapped in applies; absent for
    /// one that the sync began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<ClusterTime>,
}

/// A component that took the place of another one in a slot.
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
    /// The source's cluster time from which the new one applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_time: Option<ClusterTime>,
    /// The namespaces that the slot sees were copied again.
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
    /// From what the old host applied last to what the new one applied first; `None` until then,
    /// and where the sync was not running.
    pub paused_ms: Option<i64>,
    /// How the old host left.
    pub outcome: String,
}
