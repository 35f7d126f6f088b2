//! Measures for how long nothing was applied while a sync changed hands.
//!
//! From what the old host applied last, by the destination's clock, to the moment at
//! which the new one took the lease; from there on by the new one's monotonic clock, to
//! the first thing that it applies or copies.
//!
//! A host without a lease does not say when it applied anything. Where this one has stood by,
//! it is the destination's last write before the lease was taken: the old host's position.
//! Else it is the source time up to which the old host had applied, its lag included.

use std::{sync::Arc, time::Duration};

use bson::DateTime;

use super::{ActiveSync, state::SyncState};
use crate::{
    metadata::{LeaseDocument, UpgradeDocument},
    mongo::{Moment, listing::local_time},
};

/// Measures in the background, and puts the result where `/progress` and the session show it.
/// A sync that does not run is not measured: it pauses because somebody wants it to. Nor is one
/// of which it is not known when anything was applied last.
/// `last_written`: of a host without a lease, as far as this one has seen it go. `upgrade`: when
/// the upgrade began that this takeover is; no other entry of the history is touched.
pub(super) fn measure(
    active: &Arc<ActiveSync>,
    lease: &LeaseDocument,
    taken: Moment,
    last_written: Option<DateTime>,
    upgrade: Option<DateTime>,
) {
    let (active, lease) = (active.clone(), lease.clone());
    tokio::spawn(async move {
        if !matches!(active.state(), SyncState::Running | SyncState::Committing) {
            return;
        }
        let mut moved = active.status.moved();
        // Both at once: what moves later than first must not be taken for it.
        let (before, first) = tokio::join!(silent_before(&active, &lease, last_written), async {
            moved.wait_for(Option::is_some).await.map(|moved| *moved)
        });
        let (Some(before), Ok(first)) = (before, first) else {
            return;
        };
        let since = first.map_or(taken.elapsed(), |first| first.since(taken));
        let paused = i64::try_from((before + since).as_millis()).unwrap_or(i64::MAX);
        active.set_paused_ms(paused);
        tracing::info!(paused_ms = paused, "the sync goes on");
        if upgrade.is_none() {
            return;
        }
        let written = active.update(|session| {
            let of_this = |entry: &&mut UpgradeDocument| Some(entry.at) == upgrade;
            if let Some(entry) = session.upgrades.last_mut().filter(of_this) {
                entry.paused_ms = Some(paused);
            }
        });
        if let Err(error) = written.await {
            tracing::info!(error = %error, "the pause of the upgrade is not kept");
        }
    });
}

/// For how long the old host had not applied anything when the lease was taken; `None` if that is
/// not known.
async fn silent_before(
    active: &ActiveSync,
    lease: &LeaseDocument,
    last_written: Option<DateTime>,
) -> Option<Duration> {
    if let Some(before) = &lease.predecessor {
        return before.silent_ms.map(milliseconds);
    }
    if let (Some(written), Some(taken)) = (last_written, lease.taken_at) {
        return Some(milliseconds(
            taken.timestamp_millis() - written.timestamp_millis(),
        ));
    }
    let position = active.record.store().position().await.ok()??;
    let now = local_time(&active.source.client).await.ok()?;
    let applied = i64::from(position.safe.cluster_time.seconds) * 1_000;
    Some(milliseconds(now.timestamp_millis() - applied))
}

/// None if it is negative.
fn milliseconds(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}
