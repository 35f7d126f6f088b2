//! Measures for how long nothing was applied while a sync changed hands.
//!
//! From what the old host applied last, by the destination's clock, to the moment at
//! which the new one took the lease; from there on by the new one's monotonic clock, to
//! the first thing that it applies or copies.

use std::{sync::Arc, time::Duration};

use super::ActiveSync;
use crate::{
    metadata::{LeaseDocument, UpgradeDocument},
    model::State,
    mongo::{Moment, listing::local_time},
};

/// Measures in the background, and puts the result where `/progress` and the session show it.
/// A sync that does not run is not measured: it pauses because somebody wants it to.
pub(super) fn measure(active: &Arc<ActiveSync>, lease: &LeaseDocument, taken: Moment) {
    let (active, lease) = (active.clone(), lease.clone());
    tokio::spawn(async move {
        if !matches!(active.state().await, State::Running | State::Committing) {
            return;
        }
        let before = silent_before(&active, &lease).await;
        let mut moved = active.status.moved();
        let Ok(first) = moved.wait_for(Option::is_some).await.map(|moved| *moved) else {
            return;
        };
        let since = first.map_or(taken.elapsed(), |first| first.since(taken));
        let paused = i64::try_from((before + since).as_millis()).unwrap_or(i64::MAX);
        active.set_paused_ms(paused);
        tracing::info!(paused_ms = paused, "the sync goes on");
        let written = active.update(|session| {
            if let Some(upgrade) = session.upgrades.last_mut().filter(is_open) {
                upgrade.paused_ms = Some(paused);
            }
        });
        if let Err(error) = written.await {
            tracing::info!(error = %error, "the pause of the upgrade is not kept");
        }
    });
}

fn is_open(upgrade: &&mut UpgradeDocument) -> bool {
    upgrade.paused_ms.is_none()
}

/// What the old host had not applied anything for when the lease was taken. A host without a
/// lease says only up to which source time it has applied.
async fn silent_before(active: &ActiveSync, lease: &LeaseDocument) -> Duration {
    if let Some(before) = &lease.predecessor {
        let silent = u64::try_from(before.silent_ms.unwrap_or_default());
        return Duration::from_millis(silent.unwrap_or_default());
    }
    let position = active.record.store().position().await;
    let (Ok(Some(position)), Ok(now)) = (position, local_time(&active.source.client).await) else {
        return Duration::ZERO;
    };
    let applied = i64::from(position.safe.cluster_time.seconds) * 1_000;
    let silent = now.timestamp_millis().saturating_sub(applied);
    Duration::from_millis(u64::try_from(silent).unwrap_or_default())
}
