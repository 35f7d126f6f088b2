//! A shadow in the answers of `GET /progress` and `GET /shadow`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::shadow::{ShadowEnd, ShadowProgress};

/// Numbers of a shadow, counted since it began.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowProgress)]
pub(in crate::api) struct Shadow {
    /// Use of the component: `documentFilter`, `plugins[0]`, ….
    slot: String,
    name: String,
    version: String,
    digest: String,
    /// Digest of the component in use, whose answers are compared.
    against: String,
    /// Documents that were compared.
    documents: u64,
    /// Documents with different answers.
    different: u64,
    /// Documents that were not given to the shadow, because it was behind.
    skipped: u64,
    /// Documents of batches on which the shadow failed as a whole.
    failed: u64,
    /// Calls that ended in a trap.
    traps: u64,
    /// Median duration of a call, which is given one batch.
    p50_micros: u64,
    /// 99th percentile of the same.
    p99_micros: u64,
    /// Reason of the newest failure of a batch; null without one.
    failure: Option<String>,
    /// Null while the shadow is given documents. `swapped`: another component is in use than at its beginning; `traps`: it has
    /// trapped too often.
    ended: Option<&'static str>,
}

impl From<ShadowProgress> for Shadow {
    fn from(shadow: ShadowProgress) -> Self {
        Self {
            slot: shadow.slot,
            name: shadow.name,
            version: shadow.version,
            digest: shadow.digest,
            against: shadow.against,
            documents: shadow.documents,
            different: shadow.different,
            skipped: shadow.skipped,
            failed: shadow.failed,
            traps: shadow.traps,
            p50_micros: shadow.p50_us,
            p99_micros: shadow.p99_us,
            failure: shadow.failure,
            ended: shadow.end.map(ShadowEnd::as_str),
        }
    }
}
