//! The session: a sync as a whole.

use serde::{Deserialize, Serialize};

use super::{CommitDocument, WriteBlocksDocument, partition::is_false};
use crate::model::{ClusterTime, Position, StartOptions, State, feature};

/// Version of the documents' shapes. Strictly increasing.
///
/// - 1: tidegate 0.1.0 and 0.1.1
/// - 2: tidegate 0.2.0: the lease and its terms, components pinned by slot, features, swaps and
///   upgrades
/// - 3: tidegate 0.3.0: the position and the partitions in collections that older hosts do not
///   write, partitions that may be incomplete, intents of DDL
/// - 4: tidegate 0.4.0: a stream beside the copy: the times of partitions, parked keys, comparisons,
///   resyncs
pub const METADATA_VERSION: i32 = 5;

/// Version of a sync whose change stream carries events of system collections: tidegate 0.6.0. Its other documents have
/// the shapes of [`METADATA_VERSION`]. A host of an earlier release would read another stream, pass over the changes of
/// buckets, and not find its position (280), so the version keeps it out.
pub const SYSTEM_EVENTS_VERSION: i32 = 6;

/// Phase of a sync. Phases only go forward, except that an undone commit goes back from `Restore` to
/// `ChangeEventApplication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Collections are created and their documents copied.
    CollectionCopy,
    /// Indexes are built, with relaxed settings.
    IndexBuild,
    /// Change events are applied, until commit has drained them.
    ChangeEventApplication,
    /// Drained to the commit time; unique, TTL, hidden and capped settings are being restored.
    Restore,
    /// Everything is restored and compared: the block of the destination is lifted. Never undone. Since metadata
    /// version 5.
    Unblock,
    /// Commit is finished: the host does no more work.
    Done,
}

/// Collection `session`: one document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDocument {
    /// Always [`SessionDocument::ID`].
    #[serde(rename = "_id")]
    pub id: String,
    /// Version of the shapes of the sync's documents. A step of a migration and its version are written in one
    /// transaction.
    pub metadata_version: i32,
    /// The release that worked on the sync last. A release of an older version names it to its operator.
    pub written_by: String,
    /// The release that began the sync. After a migration from version 1, the last release of version 1.
    /// Since metadata version 2.
    pub begun_by: String,
    /// Persisted state. `progress` shows PAUSED in place of RUNNING and COMMITTING while the work is not done.
    pub state: State,
    /// Phase in which the work goes on after a restart.
    pub phase: Phase,
    /// Options of `start`. References to secrets are persisted, and their contents are not.
    pub options: StartOptions,
    /// Replica set ids of both clusters: they are compared at each takeover.
    pub source_id: String,
    /// Replica set id of the destination, in hex.
    pub destination_id: String,
    /// The cluster time at which the catalog was read and the change stream begins.
    pub start_time: ClusterTime,
    /// Estimate at the start, in bytes of uncompressed documents.
    pub total_bytes: i64,
    /// The source's cluster time of the commit, at which the sync ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_time: Option<ClusterTime>,
    /// Pinned components, by slot. Release 0.1.0 wrote no list; up to metadata version 1 the list has the
    /// components of the option `plugins` alone.
    #[serde(default)]
    pub pinned: Vec<PinnedComponent>,
    /// Native features of the release that began the sync, and features that a migration has turned on.
    /// Since metadata version 2.
    #[serde(default)]
    pub features: Vec<String>,
    /// All swaps and adoptions, oldest first. Since metadata version 2.
    #[serde(default)]
    pub swaps: Vec<SwapDocument>,
    /// All live upgrades, oldest first. Since metadata version 2.
    #[serde(default)]
    pub upgrades: Vec<UpgradeDocument>,
    /// Ids of namespaces that a swap copies again and that are not marked as pending yet. Since metadata
    /// version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recopy: Vec<String>,
    /// All resyncs, oldest first. Since metadata version 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resyncs: Vec<ResyncDocument>,
    /// Blocks of user writes that the sync sets. Absent for a sync that an earlier release has begun. Since metadata
    /// version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_blocks: Option<WriteBlocksDocument>,
    /// The commit that is under way or done. Since metadata version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitDocument>,
    /// Sentences about the last commit: why it was undone, or what it did not bring over. Since metadata version 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commit_warnings: Vec<String>,
    /// When the last undone commit was undone, by the destination's clock. Since metadata version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_undone_at: Option<bson::DateTime>,
    /// True after a commit that was undone in its restore, until the settings are relaxed again. Since metadata
    /// version 5.
    #[serde(default, skip_serializing_if = "is_false")]
    pub relax_again: bool,
    /// The destination's position before `canWrite`, from which a reverse applies changes. Absent for a sync that is
    /// not reversible, and before its commit is decided. Since metadata version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse_position: Option<Position>,
    /// The number of times that the sync has been reversed. Since metadata version 5.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reversals: i64,
    /// Marks of the users and roles that a commit has brought over, so that a repetition knows its own. Since tidegate
    /// 0.6.0, in metadata of any version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged_principals: Vec<String>,
    /// True if the change stream carries events of system collections, which time-series collections need. Never
    /// becomes false. True only with [`SYSTEM_EVENTS_VERSION`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub system_events: bool,
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

    /// Whether collections are compared because the position was lost.
    pub fn is_resyncing(&self) -> bool {
        self.resyncs.last().is_some_and(|last| !last.done)
    }

    /// Has the change stream carry events of system collections, from its next beginning on.
    pub fn show_system_events(&mut self) {
        self.system_events = true;
        self.metadata_version = SYSTEM_EVENTS_VERSION;
    }

    /// Whether the sync takes time-series collections. A sync that an earlier release has begun does not, so that such
    /// a release can go on with it.
    pub fn has_time_series(&self) -> bool {
        self.features.iter().any(|own| own == feature::TIME_SERIES)
    }

    /// Whether commit brings stored functions over. A sync that an earlier release has begun does not, as its users may
    /// lack the privilege.
    pub fn has_stored_functions(&self) -> bool {
        let mut features = self.features.iter();
        features.any(|own| own == feature::STORED_FUNCTIONS)
    }

    /// Whether a commit is under way or done. Sessions of releases before 0.5.0 have a commit time alone.
    pub fn has_commit(&self) -> bool {
        self.commit.is_some() || self.commit_time.is_some()
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A pinned component: the sync runs it, also if another build of its name is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedComponent {
    /// Its use: `namespaceFilter`, `namespaceRemap`, `documentFilter`, or `plugins[0]` and so on. Since metadata
    /// version 2.
    pub slot: String,
    /// `route` or `transform`. Since metadata version 2.
    pub role: String,
    /// Name of the component.
    pub name: String,
    /// Semantic version of the component.
    pub version: String,
    /// `sha256:` and the hash of the bytes, in hex.
    pub digest: String,
    /// Version of the plugin contract that it was built for. Since metadata version 2; 1.0.0 before.
    pub abi: String,
    /// Number of the component's answers: builds with the same number give the same answers.
    pub semantics: i64,
    /// The source's cluster time from which the component applies; absent for a component of the start.
    /// Since metadata version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<ClusterTime>,
    /// The key of `--pluginTrust` that has signed the component. Since tidegate 0.7.0, in metadata of any version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// The replacement of a component in a slot. Since metadata version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwapDocument {
    /// By the destination's clock.
    pub at: bson::DateTime,
    /// Slot of the component, as in [`PinnedComponent::slot`].
    pub slot: String,
    /// Name of the component, the same before and after the swap.
    pub name: String,
    /// Semantic version of the old component.
    pub from_version: String,
    /// Digest of the old component.
    pub from_digest: String,
    /// Semantics of the old component.
    pub from_semantics: i64,
    /// Semantic version of the new component.
    pub to_version: String,
    /// Digest of the new component.
    pub to_digest: String,
    /// Semantics of the new component. An adoption never changes them.
    pub to_semantics: i64,
    /// The source's cluster time from which the new component applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_time: Option<ClusterTime>,
    /// True if the namespaces of the slot were copied again.
    pub recopied: bool,
}

/// A live upgrade. Since metadata version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeDocument {
    /// By the destination's clock.
    pub at: bson::DateTime,
    /// Release that worked on the sync before, as `0.2.0`.
    pub from_binary: String,
    /// Release that took the sync over.
    pub to_binary: String,
    /// Metadata version before the takeover.
    pub from_metadata: i32,
    /// Metadata version after the takeover. Equal to `from_metadata` for two releases of one version.
    pub to_metadata: i32,
    /// Milliseconds between the last write of the old host and the first write of the new host; `None` before
    /// that, and for a sync that was not running.
    pub paused_ms: Option<i64>,
    /// The way in which the old host left: a sentence for the operator, as `handed over`.
    pub outcome: String,
}

/// A comparison of all collections, after the oplog of the source had lost the position. Since metadata version 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResyncDocument {
    /// By the destination's clock.
    pub at: bson::DateTime,
    /// A sentence for the operator: the loss of the position.
    pub reason: String,
    /// The lost position.
    pub from: ClusterTime,
    /// The source's cluster time at which the catalog was read and the stream begins again. Absent until that
    /// position is persisted: the destination's catalog may be changed already, so the resync is finished, although
    /// the source may have the lost position again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ClusterTime>,
    /// True if all collections are compared and ready.
    pub done: bool,
}
