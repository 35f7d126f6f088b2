//! Hosts of a sync.

use bson::DateTime;
use serde::{Deserialize, Serialize};

/// Collection `hosts`: one document for each process that works on the sync or could. Times are those of the
/// destination's primary. The host itself writes its document, and no other host does. Since tidegate 0.7.0, in
/// metadata of any version: earlier releases pass it over.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostDocument {
    /// Id of the process, as in the lease.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its `--id`.
    #[serde(default)]
    pub instance: String,
    /// Its release, as `0.7.0`.
    #[serde(default)]
    pub release: String,
    /// Whether it carries out calls that other hosts pass on, while it leads.
    #[serde(default)]
    pub takes_calls: bool,
    /// The last sign of life.
    pub seen_at: DateTime,
    /// From then on the host counts as gone.
    pub expires_at: DateTime,
    /// Milliseconds since the last sign of life, as of the read; not persisted.
    #[serde(default, skip_serializing)]
    pub age_ms: i64,
}
