//! Stops the work of a sync in two steps, within a second in any state of the clusters.
//!
//! First the work is asked to stop: it finishes the current rounds, persists its position as clean, and ends.
//! Work that waits for a cluster, for a large batch or for an index build does not react in time. It is dropped,
//! with every task that it has started. Nothing is lost: a command without an answer is done once or not at all,
//! and the next run continues from the persisted position. The server continues an index build whose client has
//! gone, and the next `createIndexes` of the same index waits for it.

use std::time::Duration;

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Time for a stop at a safe point.
const STOP_TIMEOUT: Duration = Duration::from_millis(650);

/// Time for dropped tasks to end. A task ends at its next await point.
const ABORT_TIMEOUT: Duration = Duration::from_millis(100);

/// Time for the server to abort the transactions of dropped work.
pub(crate) const CLEANUP_TIMEOUT: Duration = Duration::from_millis(200);

/// The way in which work has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At a safe point: the position is persisted as clean.
    Clean,
    /// Dropped or failed: the persisted position is before the applied one.
    Unclean,
}

/// Stops the work of `work`, which watches `cancel`.
pub(crate) async fn stop(cancel: &CancellationToken, mut work: JoinHandle<Stop>) -> Stop {
    cancel.cancel();
    if let Ok(ended) = timeout(STOP_TIMEOUT, &mut work).await {
        return ended.unwrap_or_else(|error| {
            tracing::error!(error = %error, "the sync's task ended early");
            Stop::Unclean
        });
    }
    tracing::info!("the work has not stopped in time and is dropped");
    work.abort();
    // A task that computes ends at its next await point, and has no effect after that.
    let _ = timeout(ABORT_TIMEOUT, work).await;
    Stop::Unclean
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn work_that_hears_stops_clean() {
        let cancel = CancellationToken::new();
        let heard = cancel.clone();
        let work = tokio::spawn(async move {
            heard.cancelled().await;
            Stop::Clean
        });
        assert_eq!(stop(&cancel, work).await, Stop::Clean);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_that_does_not_hear_is_dropped_within_a_second() {
        let cancel = CancellationToken::new();
        let (alive, dropped) = tokio::sync::oneshot::channel::<()>();
        let waits = tokio::spawn(async move {
            let _alive = alive;
            std::future::pending().await
        });
        let begun = Instant::now();
        assert_eq!(stop(&cancel, waits).await, Stop::Unclean);
        assert!(dropped.await.is_err() && begun.elapsed() < SECOND);
        let computes = tokio::spawn(async {
            let begun = Instant::now();
            while begun.elapsed() < SECOND * 3 {
                std::hint::spin_loop();
            }
            Stop::Clean
        });
        let begun = Instant::now();
        assert_eq!(stop(&cancel, computes).await, Stop::Unclean);
        assert!(begun.elapsed() < SECOND + SECOND / 4);
    }
}
