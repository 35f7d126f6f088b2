//! The beginning of a commit in the work: the source's block, then the commit time.
//!
//! Invariant: a commit time that follows a block is taken after the block has stood. A transaction that was open when
//! the block was asked for can still commit, and is part of the sync then. Work that begins again takes another time,
//! since the block may have been lifted in between.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::sync::watch;

use super::{Activity, Context, Error, take_commit_time, throttle_status::Side};
use crate::{
    metadata::{BlockState, Phase, SessionDocument},
    model::{ClusterTime, State},
    mongo::{Moment, listing},
    observe::failpoint,
};

/// Pause after a source that did not give its time.
const AGAIN: Duration = Duration::from_millis(500);

/// Waits for a commit, and gives its time to the stream. Never returns without an error.
///
/// Cancel safe: the next run begins again with the block.
pub(super) async fn follow(
    context: &Context,
    commit_time: &watch::Sender<Option<ClusterTime>>,
) -> Result<Infallible, Error> {
    let mut changes = context.record.changes();
    let session = changes
        .wait_for(|session| session.state == State::Committing)
        .await
        .map_err(|_closed| Error::Cancelled)?
        .clone();
    let time = match session.commit_time {
        Some(time) if session.phase >= Phase::Restore || !blocks_source(&session) => time,
        known => take_time(context, known.is_some()).await?,
    };
    if session.phase < Phase::Restore {
        context.status.set_activity(Activity::WaitingForCommit);
    }
    commit_time.send_replace(Some(time));
    pending().await
}

/// Whether the commit blocks the source.
pub(super) fn blocks_source(session: &SessionDocument) -> bool {
    let blocks = session.write_blocks.as_ref();
    let block = blocks.and_then(|blocks| blocks.source.as_ref());
    block.is_some_and(|block| block.state == BlockState::Blocked)
}

async fn take_time(context: &Context, was_taken: bool) -> Result<ClusterTime, Error> {
    let record = &context.record;
    if was_taken {
        record.update(|session| session.commit_time = None).await?;
    }
    context.status.set_activity(Activity::BlockingSource);
    let blocks = &context.status.write_blocks;
    blocks.settled(Side::Source, Moment::now()).await;
    failpoint("source_blocked");
    let blocked_at = listing::local_time(&context.destination.reads()).await?;
    let time = loop {
        match take_commit_time(&context.source).await {
            Ok(time) => break time,
            Err(error) => tracing::info!(error = %error, "no commit time yet"),
        }
        tokio::time::sleep(AGAIN).await;
    };
    let update = record.update(|session| {
        session.commit_time = Some(time);
        if let Some(commit) = &mut session.commit {
            commit.blocked_at.get_or_insert(blocked_at);
        }
    });
    update.await?;
    tracing::info!(commit_time = %time, "the commit time is taken, after the block of the source");
    failpoint("commit_time_taken");
    Ok(time)
}
