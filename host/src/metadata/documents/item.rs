//! Items of work that the leader assigns to other hosts.

use bson::{Binary, RawDocumentBuf};
use serde::{Deserialize, Serialize};

use super::partition::is_false;
use crate::model::{ClusterTime, Namespace};

/// State of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ItemState {
    /// Its holder works on it.
    Open,
    /// Its holder has reported the end.
    Reported,
}

/// Collection `items`: work that the leader has assigned to another host. Since tidegate 0.7.0, in metadata of any version:
/// earlier releases pass it over, since nothing that they read depends on it.
///
/// The document is its own guard: a report is one update with the token in its filter. The token is new for each
/// assignment, so a report of an earlier assignment matches nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemDocument {
    /// The kind and a number, as `verify:1`.
    #[serde(rename = "_id")]
    pub id: String,
    /// Random, new for each assignment.
    pub token: String,
    /// Id of the process that works on it, as in `hosts`.
    pub holder: String,
    /// The state.
    pub state: ItemState,
    /// The work.
    pub task: VerifyTask,
    /// The outcome; absent while the item is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<VerifyReport>,
    /// Term of the leader, which the store adds.
    #[serde(default, skip_serializing)]
    pub term: i64,
}

/// Collections to be verified at a boundary.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyTask {
    /// The source's cluster time of the boundary.
    pub at: ClusterTime,
    /// The destination's cluster time of the boundary.
    pub destination_at: ClusterTime,
    /// Milliseconds from the beginning of the work after which no more is read.
    pub within_ms: i64,
    /// Digests of the sync's components, in the order of its pins.
    pub pins: Vec<String>,
    /// The collections.
    pub collections: Vec<VerifyCollection>,
}

/// A collection to be verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyCollection {
    /// `_id` of the namespace's document: the UUID on the source.
    pub namespace_id: String,
    /// Name on the source.
    pub source: Namespace,
    /// Name on the destination.
    pub destination: Namespace,
    /// UUID on the destination, in hex.
    pub destination_uuid: String,
    /// The host does not know the order of its `_id`s.
    #[serde(default, skip_serializing_if = "is_false")]
    pub collated: bool,
    /// Plugins see its documents.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_chain: bool,
    /// `{_id: value}`: documents with lower `_id`s are verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RawDocumentBuf>,
}

/// The outcome of a [`VerifyTask`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// The collections that were read, each once.
    pub collections: Vec<VerifiedRange>,
    /// The reason for which the host cannot do such work; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A range of a collection that was compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedRange {
    /// `_id` of the namespace's document.
    pub namespace_id: String,
    /// `{_id: value}` of documents that may differ, as bytes: an `_id` must arrive as it is.
    pub suspects: Vec<Binary>,
    /// `{_id: value}`, as bytes: everything up to it is compared. Absent if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Binary>,
    /// The collection is compared to its end.
    pub ended: bool,
    /// Equal documents.
    pub documents: i64,
    /// The destination does not have the collection.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_gone: bool,
}
