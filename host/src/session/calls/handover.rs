//! Releases a sync: at a handover, and when the process ends.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    model::OperatorError,
    observe::failpoint,
    session::{
        active::{ActiveSync, state::SyncState},
        hosts::registration,
        progress::deadline::{ClusterLabel, within_deadline},
        role::host::{Host, Role},
    },
};

/// Time that the end of the process waits for the current call.
const LEAVE_AFTER: Duration = Duration::from_secs(1);

/// Time that the end of the process waits for hooks of a sync that is done.
const HOOKS_WITHIN: Duration = Duration::from_secs(2);

/// Stops the work, persists the position and releases the lease; the process should end after that. After an
/// error this host still holds the lease, and the work has stopped.
pub(crate) async fn hand_over(host: &Host) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    if let Some(active) = host.active() {
        give_away(host, &active).await?;
        registration::leave(&host.context, active.record.store()).await;
        tracing::info!(
            sync_id = active.sync_id(),
            "handed over: the lease is released, and this host ends"
        );
    }
    host.leaving.cancel();
    host.handed_over.cancel();
    Ok(())
}

async fn give_away(host: &Host, active: &ActiveSync) -> Result<(), OperatorError> {
    active.stop_for_call().await?;
    failpoint("handover_drained");
    host.context.audit.settle(active).await;
    let kept = "The work has stopped, and the lease is not given back: this host has the sync until another host \
                takes it over. Call resume to continue.";
    let destination = ClusterLabel::destination(active.destination.name);
    within_deadline(&host.context.monitor, destination, kept, async {
        Ok(active.lease.release().await?)
    })
    .await
    .inspect_err(|error| active.fail(error.clone()))?;
    host.set_role(Role::Idle);
    Ok(())
}

/// Stops the work, persists the position and releases the lease, each within a bounded time. Idempotent.
pub(crate) async fn leave(host: &Host) {
    host.leaving.cancel();
    // A call that waits for a cluster does not delay the end of the process.
    let _turn = timeout(LEAVE_AFTER, host.queued_turn()).await;
    let registered_at = registration::metadata(host);
    if let Some(active) = host.active() {
        if let Err(error) = active.stop().await {
            tracing::warn!(error = %error, "the last position is not persisted; the previous position is");
        }
        failpoint("handover_drained");
        if matches!(active.state(), SyncState::Committed) {
            // Nothing else waits for the lease, and no host may follow that would send the end of the sync.
            host.context.hooks.settle(HOOKS_WITHIN).await;
        }
        host.context.audit.settle(&active).await;
        active.lease.abandon().await;
        host.set_role(Role::Idle);
        let state = active.state().public();
        tracing::info!(sync_id = active.sync_id(), %state, "this host ends; the next host continues the sync");
    }
    if let Some(reader) = registered_at {
        registration::leave(&host.context, &reader).await;
    }
}
