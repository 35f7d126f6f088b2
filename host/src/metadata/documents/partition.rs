//! Partitions of the copy.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use crate::model::ClusterTime;

/// Collection `copyPartitions`: `_id` ranges of collections. Named `partitions` before metadata version 3.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionDocument {
    /// The namespace's id and the partition's number.
    #[serde(rename = "_id")]
    pub id: String,
    /// `_id` of the namespace's document.
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
    /// Copied documents up to `last_id`.
    pub documents: i64,
    /// Bytes of these documents, uncompressed.
    pub bytes: i64,
    /// True if all documents of the range are durable on the destination.
    pub done: bool,
    /// True from before the first insert until the range is done: with `done` false, the range is in work.
    /// Since metadata version 3.
    #[serde(default, skip_serializing_if = "is_false")]
    pub begun: bool,
    /// The source's cluster time from which the range is read: all events of its keys up to this time were passed
    /// over. Since metadata version 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<ClusterTime>,
    /// The source's cluster time after the last read. Documents of the range may contain updates up to this time:
    /// such updates are never applied as deltas. Absent where `exactAfter` of the position covers the reads.
    /// Since metadata version 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<ClusterTime>,
    /// The destination has documents of the range: both sides are read, and only differences are written. Since
    /// metadata version 4.
    #[serde(default, skip_serializing_if = "is_false")]
    pub compare: bool,
    /// The destination may hold more documents of the range than the source: `_id`s are compared before commit.
    /// Since metadata version 3.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspect: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// Totals of copied documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyTotals {
    /// Number of documents.
    pub documents: i64,
    /// Uncompressed bytes of these documents.
    pub bytes: i64,
}
