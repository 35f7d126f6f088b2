//! Measures for how long nothing was applied while a sync changed hands.
//!
//! From what the old host applied last, by the destination's clock, to the moment at
//! which the new one took the lease; from there on by the new one's monotonic clock, to
//! the first thing that it applies or copies.
//!
//! A host without a lease does not say when it applied anything. Where this one has stood by,
//! it is the destination's last write before the lease was taken: the old host's position.
//! Else it is the source time up to which the old host had applied, its lag included.

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

/// The pause of one takeover, to be measured.
/// A sync that does not run is not measured: it pauses because somebody wants it to. Nor is one
/// of which it is not known when anything was applied last.
pub(crate) struct PauseMeter {
    pub(crate) record: Arc<Record>,
    /// When this host has applied or copied something, first and last.
    pub(crate) moved: watch::Receiver<Option<Moment>>,
    pub(crate) source: Client,
    /// Where the result is put, for `/progress`.
    pub(crate) paused_ms: Arc<OnceLock<i64>>,
    pub(crate) lease: LeaseDocument,
    /// When the lease was taken.
    pub(crate) taken: Moment,
    /// The last write of a host without a lease, as far as this one has seen it go.
    pub(crate) last_written: Option<DateTime>,
    /// When the upgrade began that this takeover is; no other entry of the history is touched.
    pub(crate) upgrade: Option<DateTime>,
}

impl PauseMeter {
    /// Measures in the background, and puts the result where `/progress` and the session show it.
    pub(crate) fn start(self) {
        tokio::spawn(self.measure());
    }

    async fn measure(self) {
        let mut moved = self.moved.clone();
        // Both at once: what moves later than first must not be taken for it.
        let (before, first) = tokio::join!(self.silent_before(), async {
            moved.wait_for(Option::is_some).await.map(|moved| *moved)
        });
        let (Some(before), Ok(first)) = (before, first) else {
            return;
        };
        let since = first.map_or(self.taken.elapsed(), |first| first.since(self.taken));
        let paused = i64::try_from((before + since).as_millis()).unwrap_or(i64::MAX);
        // Measured once a takeover.
        let _ = self.paused_ms.set(paused);
        tracing::info!(paused_ms = paused, "the sync goes on");
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
            tracing::info!(error = %error, "the pause of the upgrade is not kept");
        }
    }

    /// For how long the old host had not applied anything when the lease was taken; `None` if that is
    /// not known.
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

/// None if it is negative.
fn milliseconds(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}
