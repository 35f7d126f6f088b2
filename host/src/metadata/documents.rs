//! The shapes of metadata version 3. Every document also has `term`, the term of the lease in
//! which it was written: the store puts it there.
//!
//! Reading rules: fields are added as optional, names are never reused, unknown
//! fields are ignored.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use crate::model::{ClusterTime, Namespace, Position, StartOptions, State, event::CollectionUuid};

/// The shape of everything in this file. Strictly increasing.
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

/// Collection `quarantine`: one a document that a plugin could not handle. The document is on the source; up to
/// release 0.3.0 it was stored here as well, as `document`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineDocument {
    /// The namespace's id and a digest of the document's `_id`.
    #[serde(rename = "_id")]
    pub id: String,
    pub namespace_id: String,
    pub source: Namespace,
    /// `{_id: value}` of the document on the source.
    pub document_id: RawDocumentBuf,
    pub component: String,
    pub digest: String,
    pub export: String,
    /// What the component did, and why.
    pub reason: String,
}

/// Collection `components`: one a component that the sync is pinned to, or that was uploaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentDocument {
    /// `sha256:` and the digest of its bytes.
    #[serde(rename = "_id")]
    pub digest: String,
    pub name: String,
    pub version: String,
    pub bytes: i64,
    pub chunks: i32,
}

/// Collection `componentChunks`: a component's bytes in order; a document holds 16 MiB at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentChunkDocument {
    /// The component's digest and the chunk's number.
    #[serde(rename = "_id")]
    pub id: String,
    pub digest: String,
    pub number: i32,
    pub bytes: bson::Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NamespaceKind {
    Collection,
    View,
}

/// How far the copy of one namespace has come. Only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CopyState {
    /// Known; nothing is on the destination yet.
    Pending,
    /// Created on the destination; its partitions are persisted.
    Copying,
    /// All partitions are done.
    Copied,
    /// Indexes are built: change events may be applied.
    Ready,
}

/// Collection `namespaces`: one a collection or view in scope. For a collection
/// it mirrors the source's options and indexes as of the safe position.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceDocument {
    /// A collection's UUID on the source in hex; `view:` and the name for a view.
    #[serde(rename = "_id")]
    pub id: String,
    pub kind: NamespaceKind,
    pub source: Namespace,
    pub destination: Namespace,
    /// The collection's UUID on the destination: tells after a crash whether a
    /// rename or drop has been done already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_uuid: Option<String>,
    /// As `listCollections` gives them.
    pub options: RawDocumentBuf,
    /// As `listIndexes` gives them, without the `_id` index.
    pub indexes: Vec<RawDocumentBuf>,
    pub copy_state: CopyState,
    pub documents: i64,
    pub bytes: i64,
}

impl NamespaceDocument {
    /// The source UUID, for collections.
    pub fn uuid(&self) -> Option<CollectionUuid> {
        Self::uuid_of_id(&self.id)
    }

    /// The source UUID in a collection's id.
    pub fn uuid_of_id(id: &str) -> Option<CollectionUuid> {
        uuid_from_hex(id)
    }

    /// The collection's UUID on the destination.
    pub fn destination_uuid(&self) -> Option<CollectionUuid> {
        uuid_from_hex(self.destination_uuid.as_ref()?)
    }

    pub fn id_of_uuid(uuid: CollectionUuid) -> String {
        uuid.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn id_of_view(view: &Namespace) -> String {
        format!("view:{view}")
    }
}

fn uuid_from_hex(hex: &str) -> Option<CollectionUuid> {
    let mut uuid = CollectionUuid::default();
    if hex.len() != 2 * uuid.len() {
        return None;
    }
    for (at, byte) in uuid.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(uuid)
}

/// Collection `copyPartitions`: one an `_id` range of one collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionDocument {
    /// The namespace's id and the partition's number.
    #[serde(rename = "_id")]
    pub id: String,
    pub namespace_id: String,
    /// `{_id: value}`, inclusive; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<RawDocumentBuf>,
    /// `{_id: value}`, exclusive; absent for the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<RawDocumentBuf>,
    /// `{_id: value}` of the last document that is durable on the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<RawDocumentBuf>,
    pub documents: i64,
    pub bytes: i64,
    pub done: bool,
    /// Persisted before the first insert.
    #[serde(default, skip_serializing_if = "is_false")]
    pub begun: bool,
    /// Its documents may be more than the source's: its `_id`s are compared before commit.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspect: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Collection `streamPosition`: one document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionDocument {
    #[serde(rename = "_id")]
    pub id: String,
    /// The safe position: everything at or before it is durable on the destination.
    #[serde(flatten)]
    pub safe: Position,
    /// Updates at or before this time may already be part of a document on the
    /// destination: they are never applied as deltas.
    pub exact_after: ClusterTime,
    pub events_applied: i64,
    /// True when the host stopped with nothing applied beyond `safe`.
    pub clean: bool,
    /// All that was copied, also of collections that are gone.
    #[serde(default)]
    pub copied: Copied,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copied {
    pub documents: i64,
    pub bytes: i64,
}

impl PositionDocument {
    pub const ID: &'static str = "position";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_survives_its_hex_form() {
        let uuid = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255];
        assert_eq!(
            uuid_from_hex(&NamespaceDocument::id_of_uuid(uuid)),
            Some(uuid)
        );
        assert_eq!(uuid_from_hex("view:a.b"), None);
    }

    /// Metadata written by any 0.1.0 host: must parse for as long as version 1 is supported.
    #[test]
    fn a_position_of_version_1_parses() {
        let document = bson::rawdoc! {
            "_id": "position",
            "resumeToken": { "_data": "826553F5A1000000032B" },
            "clusterTime": bson::Timestamp { time: 0x6553_F5A1, increment: 3 },
            "exactAfter": bson::Timestamp { time: 0x6553_F5A0, increment: 1 },
            "eventsApplied": 12_i64,
            "clean": true,
        };
        let position: PositionDocument = bson::deserialize_from_slice(document.as_bytes()).unwrap();
        assert_eq!(
            position.safe.cluster_time,
            ClusterTime {
                seconds: 0x6553_F5A1,
                increment: 3
            }
        );
        assert!(position.clean);
    }
}
