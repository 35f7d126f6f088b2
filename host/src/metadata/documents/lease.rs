//! The lease.

use bson::DateTime;
use serde::{Deserialize, Serialize};

/// Collection `lease`: one document.
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
    /// When the holder last applied or copied anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_at: Option<DateTime>,
    /// Whom it was taken over from; absent for the first holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
}

/// The holder before.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Predecessor {
    pub holder: String,
    pub release: String,
    /// It has given the lease back; otherwise it died, or was cut off.
    pub released: bool,
    /// From what it applied last until the lease was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<i64>,
}
