//! Partitions of the copy.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

/// Collection `copyPartitions`: `_id` ranges of collections.
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
    /// The destination may hold more documents of the range than the source: `_id`s are compared before commit.
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

/// Copied documents, and their uncompressed bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyTotals {
    pub documents: i64,
    pub bytes: i64,
}
