//! The call that commits, and the undoing of a commit.

use std::sync::Arc;

use super::{is_done_already, persist};
use crate::{
    metadata::{CommitDocument, Phase, SessionDocument},
    model::{ErrorName, OperatorError, State, commit::CommitOptions, state::Call},
    mongo::listing,
    session::{
        active::{ActiveSync, state::SyncState},
        components::adoption::configured,
        progress::{
            commit::cannot_commit,
            deadline::{ClusterLabel, within_deadline},
        },
        role::host::Host,
        users,
    },
    sync,
};

/// Commits: ends the sync at the current cluster time of the source, or, where the commit blocks the source, at a time
/// after that block. Returns when the commit is persisted.
pub(crate) async fn commit(host: &Host, options: CommitOptions) -> Result<(), OperatorError> {
    host.refuse_standby()?;
    let is_begun =
        |state: &SyncState| matches!(state, SyncState::Committing | SyncState::Committed);
    if let Some(active) = host.active().filter(|_| is_done_already(host, is_begun)) {
        return refuse_other_sync(&active, &options);
    }
    // Without the turn, so that a hook holds up no other call.
    let hooks = &host.context.hooks;
    let active = ready(host, &options)?;
    users::require(&active, &host.context.monitor).await?;
    hooks.before_commit(&active).await?;
    let _turn = host.active_turn().await?;
    let (active, monitor) = (ready(host, &options)?, &host.context.monitor);
    let unchanged =
        "Nothing was changed, and the sync continues. Call commit again when the cluster answers.";
    let blocks = active.record.get().write_blocks;
    let blocks_source = blocks.is_some_and(|blocks| blocks.source.is_some());
    let time = if blocks_source {
        None
    } else {
        let source = ClusterLabel::source(active.source.name);
        let taken = within_deadline(monitor, source, unchanged, async {
            Ok(sync::take_commit_time(&active.source.client).await?)
        });
        Some(taken.await?)
    };
    let destination = ClusterLabel::destination(active.destination.name);
    let now = within_deadline(monitor, destination, unchanged, async {
        Ok(listing::local_time(&active.destination.client).await?)
    })
    .await?;
    persist(&active, monitor, unchanged, |session| {
        session.state = State::Committing;
        session.commit_time = time;
        session.commit_warnings.clear();
        session.commit = Some(CommitDocument {
            at: now,
            max_block_seconds: options.max_block_seconds.map(i64::from),
            blocked_at: (!blocks_source).then_some(now),
            blocked_ms: None,
        });
        if let Some(block) = source_block(session) {
            block.request(now);
        }
    })
    .await?;
    tracing::info!(
        sync_id = active.sync_id(),
        commit_time = time.map(|time| time.to_string()),
        "COMMITTING: applies events up to the commit time"
    );
    active.status.set_activity(sync::Activity::WaitingForCommit);
    Ok(())
}

/// The active sync, if it can commit now.
fn ready(host: &Host, options: &CommitOptions) -> Result<Arc<ActiveSync>, OperatorError> {
    let active = host.active_for(Call::Commit)?;
    refuse_other_sync(&active, options)?;
    match cannot_commit(&active, &host.context.monitor) {
        None => Ok(active),
        Some(reason) => Err(OperatorError::new(
            ErrorName::CannotCommit,
            format!(
                "Commit is not possible now. {reason} Nothing was changed. Wait until /progress shows canCommit true."
            ),
        )),
    }
}

fn refuse_other_sync(active: &ActiveSync, options: &CommitOptions) -> Result<(), OperatorError> {
    let id = active.sync_id();
    match &options.sync {
        Some(sync) if *sync != id => Err(OperatorError::new(
            ErrorName::SyncMismatch,
            format!(
                "The call names another sync than this host has, which is {id}. Nothing was changed. Check which host \
                 you are calling: its syncID is in GET /api/v1/progress."
            ),
        )),
        _ => Ok(()),
    }
}

fn source_block(session: &mut SessionDocument) -> Option<&mut crate::metadata::WriteBlockDocument> {
    session.write_blocks.as_mut()?.source.as_mut()
}

/// Undoes a commit for `reason`: lifts the block of the source, and goes on as RUNNING. Nothing is undone once `canWrite`
/// is decided.
///
/// # Errors
/// The destination does not take the change. The work has stopped, and the block of the source is lifted all the same:
/// a commit that goes on later takes another commit time.
pub(crate) async fn undo(host: &Host, reason: &OperatorError) -> Result<(), OperatorError> {
    let _turn = host.queued_turn().await;
    let Some(active) = host.active() else {
        return Ok(());
    };
    // A position that was not persisted is an older position.
    if let Err(error) = active.stop_for_call().await {
        tracing::info!(error = %error, "the position at the undone commit is not persisted");
    }
    let undone = undo_stopped(host, &active, reason).await;
    if undone.is_err() {
        active.status.write_blocks.open_source();
        active.fail(reason.clone());
    }
    undone
}

async fn undo_stopped(
    host: &Host,
    active: &Arc<ActiveSync>,
    reason: &OperatorError,
) -> Result<(), OperatorError> {
    let destination = ClusterLabel::destination(active.destination.name);
    let monitor = &host.context.monitor;
    let left =
        "The commit is not undone yet, and is tried again. The block of the source is lifted.";
    let now = within_deadline(monitor, destination, left, async {
        active.end_transactions().await;
        // The dropped work may have persisted more than this host knows.
        active.record.reload().await?;
        Ok(listing::local_time(&active.destination.client).await?)
    })
    .await?;
    let session = active.record.get();
    if session.state == State::Committing && session.phase < Phase::Unblock {
        persist(active, monitor, left, |session| {
            session.state = State::Running;
            (session.commit, session.commit_time) = (None, None);
            session.commit_warnings = vec![reason.to_string()];
            session.commit_undone_at = Some(now);
            session.not_restored.clear();
            if session.phase == Phase::Restore {
                session.phase = Phase::ChangeEventApplication;
                session.relax_again = true;
            }
            if let Some(block) = source_block(session) {
                block.lift(now);
            }
        })
        .await?;
        tracing::warn!(sync_id = active.sync_id(), reason = %reason, "the commit is undone: RUNNING");
    }
    let configured = configured(active).await?;
    active.spawn(&configured).await;
    Ok(())
}
