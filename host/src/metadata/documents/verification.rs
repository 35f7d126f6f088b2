//! The state of a verification.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use super::partition::is_false;
use crate::model::{ClusterTime, Namespace, Position};

/// Collection `verification`: one document. Since metadata version 5.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationDocument {
    /// Always [`VerificationDocument::ID`].
    #[serde(rename = "_id")]
    pub id: String,
    /// Invariant: events after this position have made unverified all documents of verified collections that may
    /// differ from the verified ones.
    #[serde(flatten)]
    pub position: Position,
    /// The source's cluster time of the last boundary.
    pub verified_to: ClusterTime,
    /// The destination's cluster time up to which writes of other clients are known.
    pub destination_time: ClusterTime,
    /// Documents that other clients have written on the destination, as far as its oplog could be read.
    pub written_by_others: i64,
    /// Mismatches that were repaired.
    pub repaired: i64,
}

/// Collection `verifiedCollections`: how far a collection is verified. A collection without a document is not
/// verified. Since metadata version 5.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedCollectionDocument {
    /// `_id` of the namespace's document.
    #[serde(rename = "_id")]
    pub id: String,
    /// `{_id: value}`: documents with lower `_id`s are verified. Absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<RawDocumentBuf>,
    /// All documents are verified.
    #[serde(default, skip_serializing_if = "is_false")]
    pub complete: bool,
    /// Verified documents of the source.
    pub documents: i64,
}

/// State of a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MismatchState {
    /// The documents differ.
    Open,
    /// The document was written again from the source. The next check confirms it.
    Repairing,
    /// The documents were found equal after a repair.
    Repaired,
    /// The documents were found equal later: a change event or another client has written them.
    Gone,
}

/// Collection `mismatches`: documents that differ, and the log of those that did. Since metadata version 5.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MismatchDocument {
    /// The namespace's id and a digest of the document's `_id`.
    #[serde(rename = "_id")]
    pub id: String,
    /// `_id` of the namespace's document.
    pub namespace_id: String,
    /// Name of the collection on the source.
    pub source: Namespace,
    /// Name of the collection on the destination.
    pub destination: Namespace,
    /// `{_id: value}` of the document; absent for a collection that the destination does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<RawDocumentBuf>,
    /// `missing`, `extra` or `differs`.
    pub kind: String,
    /// The first path at which the documents differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The state.
    pub state: MismatchState,
    /// The source's cluster time at which the mismatch was found last.
    pub found_at: ClusterTime,
}

impl VerificationDocument {
    /// `_id` of the only document.
    pub const ID: &'static str = "state";
}
