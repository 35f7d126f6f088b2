//! Trying again what failed for a reason that passes.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::Error;
use crate::model::ErrorKind;

/// How long an outage of either cluster is sat out before the sync pauses (mongosync: 10 minutes).
pub const OUTAGE: Duration = Duration::from_secs(600);

/// Runs `operation` until it succeeds, fails for good, or [`OUTAGE`] is over.
/// Every attempt must be safe to repeat.
pub async fn retry<T, F>(what: &'static str, operation: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_total_delay(Some(OUTAGE));
    operation
        .retry(backoff)
        .when(|error| error.kind() == ErrorKind::Transient)
        .notify(|error, delay| {
            tracing::info!(what, error = %error, delay_ms = delay.as_millis(), "trying again");
        })
        .await
}
