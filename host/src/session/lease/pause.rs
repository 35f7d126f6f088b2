//! Measures the pause of a takeover: the time in which nothing was applied.
//!
//! The pause begins with the last write that the previous holder applied, by the destination's clock, and is
//! measured by that clock up to the moment at which the new holder took the lease. From there on the new
//! holder's monotonic clock counts, up to its first write.
//!
//! A host without a lease does not record its last write. If this host was a standby then, the destination's
//! last write before the lease was taken is used, which is the position of the previous host. Otherwise it is
//! the source time up to which the previous host had applied, so the result includes its lag.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bson::DateTime;
use tokio::sync::watch;

use crate::{
    metadata::{LeaseDocument, UpgradeDocument},
    model::OperatorError,
    mongo::{Client, Moment, listing::local_time},
    sync::Record,
};

/// The measurement of the pause of one takeover. Only for a sync that works: a paused sync does not work because
/// an operator wants that. There is no result if the time of the last write is unknown.
pub(crate) struct PauseMeter {
    /// The session, for the previous position and for the history entry.
    pub(crate) record: Arc<Record>,
    /// Time of the latest write of this host; `None` before the first.
    pub(crate) moved: watch::Receiver<Option<Moment>>,
    /// The source, for its local time.
    pub(crate) source: Client,
    /// The cell that receives the result in milliseconds, for `/progress`.
    pub(crate) paused_ms: Arc<OnceLock<i64>>,
    /// The lease of this takeover, with its predecessor.
    pub(crate) lease: LeaseDocument,
    /// The moment at which the lease was taken.
    pub(crate) taken: Moment,
    /// The last write of a host without a lease, if this host was its standby.
    pub(crate) last_written: Option<DateTime>,
    /// Time of the history entry of this live upgrade, which also gets the result. No other entry is changed.
    pub(crate) upgrade: Option<DateTime>,
}

impl PauseMeter {
    /// Measures in the background, and publishes the result in `/progress` and in the session.
    pub(crate) fn start(self) {
        tokio::spawn(self.measure());
    }

    async fn measure(self) {
        let mut moved = self.moved.clone();
        // Concurrently: a later write must not be taken for the first.
        let (before, first) = tokio::join!(self.silent_before(), async {
            moved.wait_for(Option::is_some).await.map(|moved| *moved)
        });
        let (Some(before), Ok(first)) = (before, first) else {
            return;
        };
        let since = first.map_or(self.taken.elapsed(), |first| first.since(self.taken));
        let paused = i64::try_from((before + since).as_millis()).unwrap_or(i64::MAX);
        // Set once for each takeover.
        let _ = self.paused_ms.set(paused);
        tracing::info!(paused_ms = paused, "the sync continues");
        if self.upgrade.is_none() {
            return;
        }
        let written = self.record.update(|session| {
            let of_this = |entry: &&mut UpgradeDocument| Some(entry.at) == self.upgrade;
            if let Some(entry) = session.upgrades.last_mut().filter(of_this) {
                entry.paused_ms = Some(paused);
            }
        });
        if let Err(error) = written.await.map_err(OperatorError::from) {
            tracing::info!(error = %error, "the pause of the upgrade was not persisted");
        }
    }

    /// Time from the previous holder's last write to the moment at which the lease was taken. `None` if it is
    /// unknown.
    async fn silent_before(&self) -> Option<Duration> {
        if let Some(before) = &self.lease.predecessor {
            return before.silent_ms.map(milliseconds);
        }
        if let (Some(written), Some(taken)) = (self.last_written, self.lease.taken_at) {
            return Some(milliseconds(
                taken.timestamp_millis() - written.timestamp_millis(),
            ));
        }
        let position = self.record.store().position().await.ok()??;
        let now = local_time(&self.source).await.ok()?;
        let applied = i64::from(position.safe.cluster_time.seconds) * 1_000;
        Some(milliseconds(now.timestamp_millis() - applied))
    }
}

/// A negative time counts as zero.
fn milliseconds(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}
