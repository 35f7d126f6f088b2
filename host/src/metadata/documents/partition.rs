//! Ranges of the copy, and what they have copied.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

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

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyTotals {
    pub documents: i64,
    pub bytes: i64,
}
