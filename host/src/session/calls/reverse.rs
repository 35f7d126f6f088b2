//! The call that reverses a committed sync.
//!
//! Invariant: the transaction that writes the session on the new destination decides. Before it the sync is COMMITTED in
//! the old direction; after it, of two sessions the one with more reversals counts, and the other is removed.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    metadata::{
        self, CopyState, METADATA_VERSION, Phase, PositionDocument, SessionDocument,
        WriteBlockDocument, WriteBlocksDocument,
    },
    model::{ErrorName, OperatorError, Position, State, options::WriteBlockMode, state::Call},
    mongo::{Cluster, Moment, listing},
    observe::{self, failpoint},
    session::{
        active::ActiveSync,
        components::{adoption::configured, pins},
        lease::{self, Lease, process::is_dead},
        progress::deadline::{ClusterLabel, while_answering},
        role::host::{Host, Role},
        write_blocks,
    },
    sync::{self, Record, Status},
};

/// Time for the end of the old source's block, where it would stop the sync's own writes.
const OPEN: Duration = Duration::from_secs(10);

/// Reverses the direction of a committed sync: changes on the cluster that was the destination are applied to the cluster
/// that was the source, from the position that was taken before `canWrite`. Returns when the new direction works.
///
/// # Errors
/// `NotSupported` for a sync that was not started with `reversible`. After an error the sync is COMMITTED as before, and
/// the call can be repeated.
pub(crate) async fn reverse(host: &Host) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    let old = host.active_for(Call::Reverse)?;
    let session = old.record.get();
    let Some(position) = session.reverse_position.clone() else {
        return Err(not_reversible());
    };
    let clusters = ClusterLabel::both(session.options.destination, session.options.source);
    let unchanged = "The sync is COMMITTED as before. Call reverse again when the cluster answers.";
    let reversed = Box::pin(reversed(host, &old, position));
    let active = while_answering(&host.context.monitor, clusters, unchanged, reversed).await?;
    // The next takeover removes the old session if this fails.
    if let Err(error) = old.record.store().remove_session().await {
        tracing::info!(error = %error, "the session of the old direction is not removed yet");
    }
    old.lease.abandon().await;
    host.set_role(Role::Active(active.clone()));
    tracing::info!(
        sync_id = active.sync_id(),
        "reversed: changes of the new source are applied"
    );
    let configured = configured(&active).await?;
    active.spawn(&configured).await;
    Ok(())
}

fn not_reversible() -> OperatorError {
    OperatorError::new(
        ErrorName::NotSupported,
        "The sync was not started with \"reversible\": true, or an earlier release has committed it, so no position for the \
         way back was taken. To sync in the other direction, start a new sync into an empty cluster: docs/next-sync.md has \
         the steps.",
    )
}

/// The sync in the other direction, persisted and without a task.
async fn reversed(
    host: &Host,
    old: &ActiveSync,
    position: Position,
) -> Result<Arc<ActiveSync>, OperatorError> {
    let (source, destination) = (&old.destination, &old.source);
    let blocks = blocks(old, source, destination).await?;
    let status = Arc::new(Status::default());
    let context = &host.context;
    let reader = metadata::Reader::new(&destination.client);
    let claim = context.claim();
    let held = reader.lease().await?;
    let dead = held.filter(|lease| is_dead(&lease.process));
    let dead = dead.as_ref().map(|lease| lease.holder.as_str());
    let grant = lease::take(&destination.client, &reader, &claim, dead).await?;
    let grant = grant.ok_or_else(held_elsewhere)?;
    let lease = Lease::hold(reader, grant, claim.duration, status.clone());
    let session = match persist(host, old, &lease, position, blocks).await {
        Ok(session) => session,
        Err(error) => {
            lease.abandon().await;
            return Err(error);
        }
    };
    failpoint("reversed");
    let record = Record::new(lease.store(), session);
    let clusters = (source.clone(), destination.clone());
    Ok(Arc::new(ActiveSync::new(
        context.runtime(),
        clusters,
        lease,
        record,
        status,
    )))
}

/// The blocks of the new direction. A block of the old source that would stop the sync's own writes is lifted.
async fn blocks(
    old: &ActiveSync,
    source: &Cluster,
    destination: &Cluster,
) -> Result<WriteBlocksDocument, OperatorError> {
    // A reverse does without a block rather than being refused.
    let mode = WriteBlockMode::SourceAndDestination;
    let mut blocks = write_blocks::plan_for(source, destination, mode, false).await?;
    let before = old.record.get().write_blocks;
    let stands = before.and_then(|blocks| blocks.source);
    match (&mut blocks.destination, stands) {
        (Some(block), Some(stands)) => carry(block, &stands),
        (None, Some(stands)) if stands.ours => open(old).await?,
        _ => {}
    }
    Ok(blocks)
}

/// A block of the sync stays a block of the sync.
fn carry(block: &mut WriteBlockDocument, stands: &WriteBlockDocument) {
    block.ours = stands.ours;
    block.in_flight = stands.in_flight;
}

/// Lifts the block of the old source.
async fn open(old: &ActiveSync) -> Result<(), OperatorError> {
    let now = listing::local_time(&old.destination.client).await?;
    old.update(|session| {
        let blocks = session.write_blocks.as_mut();
        if let Some(block) = blocks.and_then(|blocks| blocks.source.as_mut()) {
            block.lift(now);
        }
    })
    .await?;
    let opened = old.status.write_blocks.source_settled(Moment::now());
    timeout(OPEN, opened).await.map_err(|_elapsed| {
        OperatorError::new(
            ErrorName::WritesBlocked,
            "The write block of the old source could not be lifted, so tidegate cannot write to it. The sync is COMMITTED \
             as before. See warnings in GET /api/v1/progress, and call reverse again.",
        )
    })
}

/// Persists the sync in the other direction on its destination. The last write decides.
async fn persist(
    host: &Host,
    old: &ActiveSync,
    lease: &Lease,
    position: Position,
    blocks: WriteBlocksDocument,
) -> Result<SessionDocument, OperatorError> {
    let before = old.record.get();
    let session = session_of(&before, position.cluster_time, blocks);
    let namespaces = old.record.store().namespaces().await?;
    let namespaces: Vec<_> = namespaces
        .iter()
        .filter(|namespace| namespace.copy_state == CopyState::Ready)
        .filter_map(|namespace| namespace.reversed())
        .collect();
    let begin = PositionDocument {
        id: PositionDocument::ID.to_owned(),
        exact_after: position.cluster_time,
        safe: position,
        events_applied: 0,
        clean: true,
        copied: Default::default(),
    };
    let store = lease.store();
    let registry = &host.context.registry;
    pins::store(registry, &store, &session.pinned).await?;
    sync::lock_out_legacy_hosts(&lease.destination(&old.source.client)).await?;
    failpoint("reverse_prepared");
    store.begin_reversed(&session, &namespaces, &begin).await?;
    Ok(session)
}

/// The session of the other direction.
fn session_of(
    before: &SessionDocument,
    start_time: crate::model::ClusterTime,
    blocks: WriteBlocksDocument,
) -> SessionDocument {
    let mut session = before.clone();
    let options = &mut session.options;
    std::mem::swap(&mut options.source, &mut options.destination);
    std::mem::swap(&mut session.source_id, &mut session.destination_id);
    for pin in &mut session.pinned {
        // A time of the old source.
        pin.since = None;
    }
    session.metadata_version = before.metadata_version.max(METADATA_VERSION);
    observe::VERSION.clone_into(&mut session.written_by);
    session.state = State::Running;
    session.phase = Phase::ChangeEventApplication;
    session.start_time = start_time;
    (session.commit, session.commit_time) = (None, None);
    session.reverse_position = None;
    session.reversals += 1;
    // Nothing of the old source may refuse or expire documents any more.
    session.relax_again = true;
    session.write_blocks = Some(blocks);
    session.recopy.clear();
    session.resyncs.clear();
    session.commit_warnings.clear();
    session.commit_undone_at = None;
    session.merged_principals.clear();
    session.not_restored.clear();
    session.warnings.clear();
    session
}

fn held_elsewhere() -> OperatorError {
    OperatorError::new(
        ErrorName::StandbyInstance,
        "Another host holds the lease on the old source. The sync is COMMITTED as before. Call reverse again when that \
         host has ended.",
    )
}
