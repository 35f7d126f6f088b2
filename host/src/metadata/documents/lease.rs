//! The lease.

use bson::DateTime;
use serde::{Deserialize, Serialize};

/// Collection `lease`: one document. Times are those of the destination's primary.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseDocument {
    pub holder: String,
    pub instance: String,
    pub release: String,
    pub process: String,
    pub term: i64,
    pub released: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime>,
    /// Time of the holder's last applied event or copied document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_at: Option<DateTime>,
    /// The previous holder; absent for the first holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
}

/// The previous holder of the lease.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Predecessor {
    pub holder: String,
    pub release: String,
    /// True if it released the lease; false if it died or lost its connection.
    pub released: bool,
    /// Milliseconds between its last write and the takeover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<i64>,
}
