//! Flow control in the answer of `GET /progress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::ThrottleProgress;

/// Delay of the batches of the copy and of the transactions of change events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ThrottleProgress)]
pub(super) struct Throttle {
    /// The cluster and the cause.
    reason: String,
    /// Beginning of the delays, by the clock of the cluster.
    since: String,
    /// Milliseconds before each batch or transaction.
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
