//! The watch of a commit: undoes it at its deadline, and after a failure that calls for it.

use std::{sync::Arc, time::Duration};

use super::{active::ActiveSync, calls, role::host::Host};
use crate::{
    metadata::{CommitDocument, Phase},
    model::{ErrorName, OperatorError, State},
    mongo::{Moment, listing},
};

/// Interval between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The deadline of the commit that was called at the time.
type CommitDeadline = (bson::DateTime, Moment);

/// Watches the commits of the host's sync until the host leaves.
pub(super) async fn watch(host: Arc<Host>) {
    let mut deadline: Option<CommitDeadline> = None;
    loop {
        tokio::select! {
            () = host.leaving.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let Some(active) = host.active() else {
            continue;
        };
        if let Some(reason) = reason_to_undo(&active, &mut deadline).await
            && let Err(error) = calls::commit::undo(&host, &reason).await
        {
            tracing::warn!(error = %error, "the commit is not undone yet");
        }
    }
}

/// The reason for which the commit is to be undone now.
async fn reason_to_undo(
    active: &ActiveSync,
    deadline: &mut Option<CommitDeadline>,
) -> Option<OperatorError> {
    let session = active.record.get();
    if session.state != State::Committing || session.phase >= Phase::Unblock {
        return None;
    }
    let state = active.state();
    let failure = state.reason().filter(|error| error.name.undoes_commit());
    if let Some(failure) = failure {
        return Some(failure.clone());
    }
    let commit = session.commit?;
    let seconds = commit.max_block_seconds?;
    let known = deadline.filter(|(at, _)| *at == commit.at);
    let (_, until) = match known {
        Some(known) => known,
        None => *deadline.insert((commit.at, deadline_of(active, &commit, seconds).await?)),
    };
    until.remaining().is_none().then(|| timed_out(seconds))
}

/// The deadline by this host's clock. The call's time is of the destination's.
async fn deadline_of(active: &ActiveSync, commit: &CommitDocument, seconds: i64) -> Option<Moment> {
    let now = listing::local_time(&active.destination.client).await.ok()?;
    let passed = now
        .timestamp_millis()
        .saturating_sub(commit.at.timestamp_millis());
    let left = seconds.saturating_mul(1_000).saturating_sub(passed.max(0));
    Some(Moment::now() + Duration::from_millis(u64::try_from(left).unwrap_or_default()))
}

fn timed_out(seconds: i64) -> OperatorError {
    OperatorError::new(
        ErrorName::CommitTimedOut,
        format!(
            "The commit was not done within maxBlockSeconds ({seconds}) and is undone: applications may write to the \
             source, and the sync goes on. Call commit again when the cause has passed."
        ),
    )
}
