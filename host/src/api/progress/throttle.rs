//! Flow control in the answer of `GET /progress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::ThrottleProgress;

/// Pauses before the batches of the copy and the transactions of change events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ThrottleProgress)]
pub(super) struct Throttle {
    /// The cluster and the cause.
    reason: String,
    /// Beginning of the pauses, by the clock of the cluster.
    since: String,
    /// Length of a pause in milliseconds.
    delay_ms: u64,
}

impl From<ThrottleProgress> for Throttle {
    fn from(throttle: ThrottleProgress) -> Self {
        Self {
            reason: throttle.reason,
            since: throttle.since,
            delay_ms: throttle.delay_ms,
        }
    }
}
