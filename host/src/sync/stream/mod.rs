//! Change event application: one change stream, read in order, applied by several appliers.
//!
//! ```text
//! reader -> rounds -> appliers (by hash of collection and document key) -> destination
//! ```
//!
//! A batch of the stream becomes a *round*, and each applier gets its events of the round. Rounds
//! are finished in order. Only a finished round moves the safe position, and no round after a
//! failed round does, so the position never passes an unapplied event and never goes back.
//!
//! A DDL event is a boundary: every earlier round is finished, and the exact position before the
//! event is persisted with its intent; then the event is applied, and recorded with the position
//! after it. So a replay after a crash never crosses an applied DDL event.
//!
//! A swap of components is a boundary too: every earlier round is finished and the position is
//! persisted, then the session persists the new pins, then the components are switched. Invariant:
//! the pinned components are never newer than the persisted position. So a replay, which begins at
//! or after it, gives each event to the component that was in force at its cluster time. A crash
//! before the pins are written leaves the old components, which have seen no later event; a crash
//! after it leaves the new components, which see all later events.

mod applier;
mod appliers;
mod batch_writer;
mod caution;
mod copying;
mod ddl;
mod delta;
mod distribution;
mod event_application;
mod freshness;
mod idle_notes;
mod lookup;
mod parked_keys;
mod pending_write;
mod position;
mod quarantine_retry;
mod read_ahead;
mod reader;
mod requests;
mod round;
mod statement;
mod tracked_collections;
mod verification;
mod verifier;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{Context, Error, boundary::WorkRequest};
use crate::model::ClusterTime;
use event_application::EventApplication;
pub(super) use event_application::StreamEnd;

/// Applies change events until `commit_time` is set and reached, or the work is cancelled. Persists
/// the position at the end, as clean unless something has failed.
///
/// # Errors
/// The failure that ended the stream. A cancellation is [`StreamEnd::Stopped`].
pub(super) async fn run(
    context: Arc<Context>,
    start_time: ClusterTime,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    requests: &mut mpsc::Receiver<WorkRequest>,
) -> Result<StreamEnd, Error> {
    let mut application = EventApplication::open(context, start_time).await?;
    let ended = application.apply_until(commit_time, requests).await;
    application.pool.stop().await;
    application.context.verification.stop().await;
    let finished = application.finish_rounds().await;
    let clean = is_clean(&ended) && finished.is_ok();
    application.persist(clean).await?;
    take_items_away(&application.context).await;
    match (ended, finished) {
        // A failed applier takes no more parts, which looks like a cancellation: its own error
        // counts.
        (Err(Error::Cancelled), Err(failure)) => Err(failure),
        (Err(Error::Cancelled), Ok(())) => Ok(StreamEnd::Stopped),
        (Ok(_), Err(failure)) => Err(failure),
        (ended, _) => ended,
    }
}

/// Lets other hosts stop their items. Items that stay are removed when work begins.
async fn take_items_away(context: &Context) {
    if context.holders.get().is_empty() {
        return;
    }
    if let Err(error) = context.store.take_items_away().await {
        tracing::info!(error = %error, "items of other hosts are not taken away yet");
    }
}

/// Restores the recorded names of collections whose DDL is in flight.
pub(super) async fn settle_names(context: &Context) -> Result<(), Error> {
    let in_flight = context.store.intents().await?;
    ddl::settle(context, &in_flight).await
}

fn is_clean(ended: &Result<StreamEnd, Error>) -> bool {
    matches!(ended, Ok(_) | Err(Error::Cancelled))
}
