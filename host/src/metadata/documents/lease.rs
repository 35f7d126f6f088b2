//! The lease.

use bson::DateTime;
use serde::{Deserialize, Serialize};

/// Collection `lease`: one document. Times are those of the destination's primary. Since metadata version 2.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseDocument {
    /// Id of the host process that has or had the lease; empty before the first takeover.
    pub holder: String,
    /// Name of the holder, from `--id`.
    pub instance: String,
    /// Release of the holder, as `0.3.1`.
    pub release: String,
    /// Identity of the holder's process on its machine, `boot/namespace/pid/start`; empty if the machine does not
    /// provide it.
    pub process: String,
    /// Number of the holder, one higher at each takeover. 0 before the first takeover.
    pub term: i64,
    /// True if the holder gave the lease back: any host can take it at once.
    pub released: bool,
    /// Time of the takeover; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<DateTime>,
    /// End of the holder's right to work, extended by each renewal. Any host can take the lease from then on.
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
    /// Id of its host process.
    pub holder: String,
    /// Its release, as `0.3.1`.
    pub release: String,
    /// True if it released the lease; false if it died or lost its connection.
    pub released: bool,
    /// Milliseconds between its last write and the takeover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<i64>,
}
