//! The work of a sync, phase by phase.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Activity, Context, Error, Record, Status, Workers, apply_ops,
    boundary::WorkRequest,
    budget::Budget,
    catalog::{scope::Scope, source_name::source_name, time_series},
    change_stream::{self, Events},
    commit, commit_request,
    context::SOURCE,
    copy, hidden_ddl,
    hidden_ddl_flag::HiddenDdlFlag,
    index_build,
    items::ItemHolders,
    quarantine::Quarantine,
    resync::{self, ResyncCause},
    stream,
    throttle::Throttle,
    verification::{self, Verification},
};
use crate::{
    metadata::{self, Phase},
    model::{
        ClusterTime, ErrorName, OperatorError, Position, State, feature, options::OplogRollover,
    },
    mongo::{Cluster, Destination, Moment, code, listing},
    observe::{failpoint, smaller},
    plugin::{Chain, Router},
};

/// Codes that a late rename may cause.
const RENAMED: [i32; 2] = [code::COLLECTION_UUID_MISMATCH, code::NAMESPACE_EXISTS];

/// How often the stream starts again before a renamed collection is left to the operator.
const MAX_RENAMED: u32 = 10;

/// How a sync's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkEnd {
    /// The phase is `Done`, and the state COMMITTED is persisted.
    Committed,
    /// The work ended before commit without a failure, as after a request. It can be run again.
    Stopped,
}

/// Everything that a sync's work needs.
pub struct Work {
    /// The cluster that is read.
    pub source: Cluster,
    /// The cluster that is written, within the fence of this host's lease.
    pub destination: Destination,
    /// Decides on namespaces.
    pub router: Arc<Router>,
    /// Transforms documents.
    pub chain: Arc<Chain>,
    /// The session of the sync.
    pub record: Arc<Record>,
    /// The live figures, for `/progress`.
    pub status: Arc<Status>,
    /// The number of parallel tasks.
    pub workers: Workers,
    /// Other hosts, which get a part of the work.
    pub holders: Arc<ItemHolders>,
    /// Asks the work to stop at the next safe place.
    pub cancel: CancellationToken,
    /// Requests of the session to the running work.
    pub requests: mpsc::Receiver<WorkRequest>,
}

/// Does the work from its persisted state until commit is done or the work is cancelled.
///
/// Cancel safe: a dropped call is the same as a kill of the process. The next run goes on from
/// persisted state.
///
/// # Errors
/// The failure that ended the work. The sync can be resumed.
pub async fn run(work: Work) -> Result<WorkEnd, Error> {
    let Work {
        source,
        destination,
        router,
        chain,
        record,
        status,
        workers,
        holders,
        cancel,
        mut requests,
    } = work;
    let (commit_request, commit_time) = watch::channel(None);
    status.write_blocks.work_begins();
    let store = record.store().clone();
    store.settle().await?;
    store.begin_work().await?;
    forget_time_series(&store, &record).await?;
    let options = record.get().options;
    let clusters = (&source.client, &destination.reads());
    let verification = Verification::new(options.verification(), status.verification.clone());
    let throttle = Throttle::start(options.throttle, clusters, &status, &commit_time, &cancel);
    let context = Arc::new(Context {
        quarantine: Quarantine::load(store.clone(), &status).await?,
        chain,
        store,
        source: source.client.with_name(SOURCE).with_unknown_features(),
        destination,
        scope: Scope::new(router, record.get().has_time_series()),
        options,
        throttle,
        verification: Arc::new(verification),
        hidden_ddl: HiddenDdlFlag::default(),
        record: record.clone(),
        workers,
        holders,
        partitions: Arc::default(),
        partition_bytes: smaller("TIDEGATE_PARTITION_BYTES", copy::PARTITION_BYTES),
        copy_budget: Budget::of_copy(),
        look_up_budget: Budget::of_look_ups(),
        status,
        cancel,
    });
    commit::drop_left_copies(&context).await?;
    let apply_ops = apply_ops::ApplyOpsWatch::default();
    let ended = tokio::select! {
        ended = phases(&context, &record, &apply_ops, commit_time, &mut requests) => ended,
        Err(failed) = commit_request::follow(&context, &commit_request) => Err(failed),
        Err(failed) = hidden_ddl::watch(&context) => Err(failed),
        () = apply_ops.watch(&context, &record) => return Ok(WorkEnd::Stopped),
    };
    match ended {
        Err(Error::Cancelled) => Ok(WorkEnd::Stopped),
        other => other,
    }
}

/// Ends the ability to take time-series collections where a host of an earlier release has met one: it has recorded the
/// view, and no stream has carried the buckets. Commit refuses the collection by name.
async fn forget_time_series(store: &metadata::Store, record: &Record) -> Result<(), Error> {
    let session = record.get();
    if !session.has_time_series() || session.system_events {
        return Ok(());
    }
    let known = store.namespaces().await?;
    if known
        .iter()
        .any(|it| time_series::is_view_of_buckets(&it.options))
    {
        let update = record.update(|session| {
            session.features.retain(|own| own != feature::TIME_SERIES);
        });
        update.await?;
    }
    Ok(())
}

async fn phases(
    context: &Arc<Context>,
    record: &Record,
    apply_ops: &apply_ops::ApplyOpsWatch,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    requests: &mut mpsc::Receiver<WorkRequest>,
) -> Result<WorkEnd, Error> {
    let session = record.get();
    if session.phase < Phase::Restore {
        if session.relax_again {
            context.status.set_activity(Activity::Initializing);
            commit::relax_again(context).await?;
            let update = record.update(|session| session.relax_again = false);
            update.await?;
        }
        index_build::relax_expiry(context).await?;
    }
    context
        .status
        .set_total_bytes(u64::try_from(session.total_bytes).unwrap_or_default());
    if session.phase < Phase::Restore {
        match stream(context, session.start_time, commit_time, requests).await? {
            stream::StreamEnd::Stopped => return Ok(WorkEnd::Stopped),
            stream::StreamEnd::Drained => {
                drained(context, record, apply_ops, session.start_time).await?;
            }
        }
    }
    if record.get().phase == Phase::Restore {
        restore(context, record).await?;
    }
    if record.get().phase == Phase::Unblock {
        unblock(context, record).await?;
    }
    context.status.set_activity(Activity::Committed);
    Ok(WorkEnd::Committed)
}

/// Corrects and verifies what the last event has left, before a setting is restored: a mismatch undoes the commit.
async fn drained(
    context: &Arc<Context>,
    record: &Record,
    apply_ops: &apply_ops::ApplyOpsWatch,
    start_time: ClusterTime,
) -> Result<(), Error> {
    failpoint("commit_drained");
    context.status.set_activity(Activity::Settling);
    let corrected = settle_before_commit(context, start_time).await?;
    apply_ops.check(context, record).await;
    failpoint("commit_settled");
    hidden_ddl::refuse(context).await?;
    verification::finish(
        &context.verified_clusters(),
        &context.verification,
        &context.throttle,
        |databases, name| source_name(&context.scope, &context.options, databases, name),
    )
    .await?;
    failpoint("verification_finished");
    let update = record.update(|session| {
        session.phase = Phase::Restore;
        session.commit_warnings.extend(corrected);
    });
    Ok(update.await?)
}

/// Restores and compares, and decides that applications may write.
async fn restore(context: &Context, record: &Record) -> Result<(), Error> {
    context.status.set_activity(Activity::Restoring);
    failpoint("commit_started");
    let not_restored = commit::restore(context).await?;
    context.status.collections.indexes_restored();
    failpoint("commit_done");
    context.status.set_activity(Activity::LateWrites);
    let late_writes = commit::late_writes(context).await?;
    if let Some(late) = &late_writes.found
        && commit_request::blocks_source(&record.get())
    {
        return Err(written_during_commit(late).into());
    }
    let hidden = hidden_ddl::after_the_commit(context).await;
    let reverse_position = match record.get().options.reversible {
        true => Some(position_back(context, record).await?),
        false => None,
    };
    let now = listing::local_time(&context.destination.reads()).await?;
    let update = record.update(|session| {
        session.phase = Phase::Unblock;
        session.reverse_position = reverse_position;
        session.not_restored = not_restored;
        let late = [late_writes.found, late_writes.unfinished, hidden];
        session.commit_warnings.extend(late.into_iter().flatten());
        let blocks = session.write_blocks.as_mut();
        if let Some(block) = blocks.and_then(|blocks| blocks.destination.as_mut()) {
            block.lift(now);
        }
    });
    update.await?;
    failpoint("commit_decided");
    Ok(())
}

/// The destination's position from which a reverse applies changes. Invariant: it is after the last write of the sync to
/// documents, and before the first write of applications.
async fn position_back(context: &Context, record: &Record) -> Result<Position, Error> {
    // A write of metadata, so that no DDL of the restore has the time of the position.
    record.update(|_| {}).await?;
    let destination = context.destination.reads();
    let time = listing::settled_time(&destination).await?;
    let events = Events::of(&record.get());
    change_stream::position_at(&destination, time, events).await
}

/// Lifts the block of the destination. Applications may write from then on.
async fn unblock(context: &Context, record: &Record) -> Result<(), Error> {
    let blocks = record.get().write_blocks;
    if blocks.is_some_and(|blocks| blocks.destination.is_some()) {
        context.status.set_activity(Activity::Unblocking);
        let blocks = &context.status.write_blocks;
        blocks.destination_settled(Moment::now()).await;
        failpoint("destination_open");
    }
    let now = listing::local_time(&context.destination.reads()).await?;
    let update = record.update(|session| {
        session.phase = Phase::Done;
        session.state = State::Committed;
        if let Some(commit) = &mut session.commit {
            let since = commit.blocked_at.unwrap_or(commit.at).timestamp_millis();
            commit.blocked_ms = Some(now.timestamp_millis().saturating_sub(since));
        }
    });
    Ok(update.await?)
}

fn written_during_commit(late: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::SourceWrittenDuringCommit,
        format!(
            "{late} The commit had blocked user writes of the source, so the block was lifted in between, or a user is \
             exempt from it (bypassWriteBlockingMode). The commit is undone, and the sync goes on with these changes. \
             Stop that writer and call commit again."
        ),
    )
}

/// Applies change events. If a late rename of earlier work has taken a collection's name away, or
/// has given it a name that another collection needs, the stream starts again, which corrects the
/// names. A lost position is regained by a resync.
async fn stream(
    context: &Arc<Context>,
    start_time: ClusterTime,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    requests: &mut mpsc::Receiver<WorkRequest>,
) -> Result<stream::StreamEnd, Error> {
    let mut resyncs = resync::Resyncs::default();
    if resync::is_begun(context) {
        Box::pin(resyncs.run(context, None)).await?;
    }
    for attempt in 1.. {
        if attempt > 1 {
            // Inserts of the attempt before may still arrive.
            context.store.begin_work().await?;
        }
        let run = stream::run(context.clone(), start_time, commit_time.clone(), requests);
        match Box::pin(run).await {
            Err(Error::StreamOptions) => {
                tracing::info!("the stream begins again, with events of system collections");
            }
            Err(Error::PositionLost(error))
                if context.options.on_oplog_rollover == OplogRollover::Resync =>
            {
                Box::pin(resyncs.run(context, Some(ResyncCause::PositionLost(&error)))).await?;
            }
            Err(Error::HiddenDdl) => {
                context.hidden_ddl.forget();
                Box::pin(resyncs.run(context, Some(ResyncCause::HiddenDdl))).await?;
            }
            Err(Error::Mongo(error))
                if RENAMED.iter().any(|code| error.has_code(*code))
                    && attempt < MAX_RENAMED
                    && !context.store.intents().await?.is_empty() =>
            {
                tracing::info!(error = %error, "a late rename arrived; the stream starts again");
            }
            other => return other,
        }
    }
    Ok(stream::StreamEnd::Stopped)
}

/// Compares and corrects writes that the server could not guard against delay.
async fn settle_before_commit(
    context: &Arc<Context>,
    start_time: ClusterTime,
) -> Result<Option<String>, Error> {
    stream::settle_names(context).await?;
    let position = context.store.position().await?;
    let at = position.map_or(start_time, |position| position.safe.cluster_time);
    let capped = copy::compare(context, at).await?;
    let names: Vec<_> = capped.iter().map(ToString::to_string).collect();
    // The server takes no guarded writes to capped collections, so a step-down alone can make one differ.
    Ok((!names.is_empty()).then(|| {
        format!(
            "Capped collections of the destination differed from the source and were copied again before commit: {}.",
            names.join(", ")
        )
    }))
}
