//! Change event application: one change stream, read in order, applied by several appliers.
//!
//! ```text
//! reader -> rounds -> appliers (by hash of collection and document key) -> destination
//! ```
//!
//! A batch of the stream becomes a *round*; each applier gets its events of the
//! round. Rounds are finished in order, and only a finished round moves the
//! safe position, and none behind a failed one, so it never passes an unapplied
//! event and never goes back.
//! DDL events are barriers: every round before one is finished, and the exact position before it
//! is persisted with its intent; then it is applied, and recorded with the position after it.
//! So a replay after a crash never crosses a DDL event that has been applied.
//!
//! A swap of components is a barrier as well: every round before it is finished and
//! its position is persisted, then the session persists what is pinned from there on,
//! then the components are switched. Invariant: what is pinned is never newer than the
//! persisted position, so that a replay, which begins at or behind it, gives each event
//! to the component that was in force at its cluster time. A crash before the pins are
//! written leaves the old ones, which have seen nothing behind the position; one after
//! it, the new ones, which see everything behind it.

mod applier;
mod appliers;
mod batch_writer;
mod ddl;
mod delta;
mod event_application;
mod freshness;
mod lookup;
mod pending_write;
mod position;
mod quarantine_retry;
mod reader;
mod requests;
mod round;
mod statement;
mod tracked_collections;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{Context, Error, boundary::WorkRequest};
use crate::model::ClusterTime;
use event_application::EventApplication;
pub(super) use event_application::StreamEnd;

/// Applies change events until `commit_time` is set and reached, or the work is cancelled.
pub(super) async fn run(
    context: Arc<Context>,
    start_time: ClusterTime,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    requests: &mut mpsc::Receiver<WorkRequest>,
) -> Result<StreamEnd, Error> {
    let mut application = EventApplication::open(context, start_time).await?;
    let ended = application.apply_until(commit_time, requests).await;
    let finished = application.finish_rounds().await;
    let clean = is_clean(&ended) && finished.is_ok();
    application.position.persist(clean).await?;
    match (ended, finished) {
        // An applier that has failed takes nothing more, which looks like a stop: its own error counts.
        (Err(Error::Cancelled), Err(failure)) => Err(failure),
        (Err(Error::Cancelled), Ok(())) => Ok(StreamEnd::Stopped),
        (Ok(_), Err(failure)) => Err(failure),
        (ended, _) => ended,
    }
}

/// Gives collections the names that are recorded for them, where DDL that is in flight may have
/// changed them.
pub(super) async fn settle_names(context: &Context) -> Result<(), Error> {
    let in_flight = context.store.intents().await?;
    ddl::settle(context, &in_flight).await
}

fn is_clean(ended: &Result<StreamEnd, Error>) -> bool {
    matches!(ended, Ok(_) | Err(Error::Cancelled))
}
