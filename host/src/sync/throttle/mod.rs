//! Flow control: delays of the copy and of the appliers, by the load of both clusters.
//!
//! ```text
//! serverStatus of each primary -> excess over the target -> delay of each batch
//! ```
//!
//! The source slows the copy alone, which reads it. The destination slows the copy and the appliers.
//! The stream is never slowed for the source: an applier that waits brings the end of the source's
//! oplog nearer, and takes almost nothing of the source's load away.
//!
//! Invariant: a delay has an end (`MAX_DELAY`), so a sync goes on whatever a cluster shows.

mod delay;
mod excess;
mod load_watch;
mod replication;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{status::Status, throttle_status::Side};
use crate::{
    model::{ClusterTime, options::ThrottleOptions},
    mongo::Client,
};
use load_watch::LoadWatch;

/// How often a waiting task looks at the delay, which may have become shorter.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The delays of one run of a sync's work. Dropping the last clone ends the readings.
#[derive(Clone)]
pub struct Throttle {
    delays: Arc<Delays>,
    cancel: CancellationToken,
    _watches: Arc<JoinSet<()>>,
}

/// The present delays, in microseconds.
#[derive(Debug, Default)]
struct Delays {
    source: AtomicU64,
    destination: AtomicU64,
}

impl Throttle {
    /// Begins to read the load of both clusters, until `commit_time` is set: from then on
    /// applications wait for the sync.
    pub(crate) fn start(
        options: ThrottleOptions,
        (source, destination): (&Client, &Client),
        status: &Arc<Status>,
        commit_time: &watch::Receiver<Option<ClusterTime>>,
        cancel: &CancellationToken,
    ) -> Self {
        status.throttle.clear();
        let delays = Arc::new(Delays::default());
        let mut watches = JoinSet::new();
        if let Some(bound) = options.bound() {
            for (side, client) in [(Side::Source, source), (Side::Destination, destination)] {
                let load_watch = LoadWatch::new(side, client.clone(), bound, status.clone());
                watches.spawn(load_watch.run(delays.clone(), commit_time.clone()));
            }
        }
        Self {
            delays,
            cancel: cancel.clone(),
            _watches: Arc::new(watches),
        }
    }

    /// Begins to read the load for an item that this host does for another.
    pub fn of_item(options: ThrottleOptions, clusters: (&Client, &Client)) -> Self {
        let (_none, commit_time) = watch::channel(None);
        let cancel = CancellationToken::new();
        Self::start(options, clusters, &Arc::default(), &commit_time, &cancel)
    }

    /// Waits before a batch of the copy. Ends early when the work is asked to stop.
    ///
    /// Cancel safe.
    pub(crate) async fn pace_copy(&self) {
        self.wait(|delays| delays.of(Side::Source).max(delays.of(Side::Destination)))
            .await;
    }

    /// Waits before a transaction of an applier, like [`Self::pace_copy`].
    pub(crate) async fn pace_apply(&self) {
        self.wait(|delays| delays.of(Side::Destination)).await;
    }

    async fn wait(&self, delay: impl Fn(&Delays) -> Duration) {
        let begun = Instant::now();
        loop {
            let left = delay(&self.delays).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
            }
        }
    }
}

impl Delays {
    fn of(&self, side: Side) -> Duration {
        Duration::from_micros(self.cell(side).load(Relaxed))
    }

    fn set(&self, side: Side, delay: Duration) {
        let delay = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.cell(side).store(delay, Relaxed);
    }

    fn cell(&self, side: Side) -> &AtomicU64 {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{delay::MAX_DELAY, *};

    fn throttle() -> Throttle {
        Throttle {
            delays: Arc::default(),
            cancel: CancellationToken::new(),
            _watches: Arc::default(),
        }
    }

    const SHORT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn the_source_slows_the_copy_and_the_destination_slows_both() {
        let throttle = throttle();
        throttle.delays.set(Side::Source, SHORT);
        let begun = Instant::now();
        throttle.pace_apply().await;
        assert!(begun.elapsed() < SHORT);
        throttle.pace_copy().await;
        assert!(begun.elapsed() >= SHORT);
        throttle.delays.set(Side::Destination, SHORT * 2);
        let begun = Instant::now();
        throttle.pace_copy().await;
        throttle.pace_apply().await;
        assert!(begun.elapsed() >= SHORT * 4);
    }

    #[tokio::test]
    async fn a_delay_ends_with_its_delay_and_with_the_work() {
        let throttle = throttle();
        let delay = |delay| throttle.delays.set(Side::Destination, delay);
        let begun = Instant::now();
        delay(MAX_DELAY);
        let shortened = async {
            tokio::time::sleep(SHORT).await;
            delay(Duration::ZERO);
        };
        tokio::join!(throttle.pace_apply(), shortened);
        delay(MAX_DELAY);
        throttle.cancel.cancel();
        throttle.pace_apply().await;
        assert!(begun.elapsed() < MAX_DELAY / 2);
    }
}
