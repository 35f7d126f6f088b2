//! Records of calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Collection `audit`: a call that changes something, or a refused call. The newest 10,000 are kept. Since tidegate 0.6.0,
/// in metadata of any version: other hosts pass it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditDocument {
    /// Milliseconds since 1970 in 15 digits, and random digits: ids sort by time.
    #[serde(rename = "_id")]
    pub id: String,
    /// By the host's clock: a call is recorded although the destination does not answer.
    pub at: bson::DateTime,
    /// Name of the caller; absent without valid credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Role of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Address of the client, with its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Method and path.
    pub call: String,
    /// Names of options and namespaces, and short values, without contents of documents.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// HTTP status; absent while the call is in progress, and for a call that has ended its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Name of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Number of refused calls before this one that have no record.
    #[serde(default)]
    pub unrecorded: i64,
}
