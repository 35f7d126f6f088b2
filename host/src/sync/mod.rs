//! The work of one sync, from an empty destination to commit.
//!
//! Phases only go forward, and each is persisted before the next begins, so a
//! host that takes over goes on where the last one stopped:
//! collection copy, index build, change event application, restore, done.

mod apply_ops;
mod budget;
mod catalog;
mod commit;
mod context;
mod copy;
mod error;
mod giving_way;
mod indexes;
mod letters;
mod migrate;
mod names;
mod pipeline;
mod quarantine;
mod recopy;
mod record;
mod relaxed;
mod scope;
mod shut_out;
mod status;
mod stream;
mod views;
mod wish;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    metadata::{self, Phase, SessionDocument},
    model::{ClusterTime, ErrorName, OperatorError, State},
    mongo::{self, Cluster, Destination, Sent, code, listing, once},
    observe::failpoint,
    plugin::{Chain, Router},
};

use context::Context;
pub use context::Workers;
pub use error::Error;
pub use indexes::show as show_indexes;
pub use migrate::migrate;
use names::Names;
pub use record::Record;
pub use shut_out::shut_out;
pub use status::{Status, Step};
pub use wish::{Boundary, Wish};

/// The name that errors give the source.
const SOURCE: &str = "the source";

/// How long a call of commit waits for the source.
const COMMIT_ANSWER: Duration = Duration::from_secs(3);

/// Answers of a server that may have done a late rename.
const RENAMED: [i32; 2] = [code::COLLECTION_UUID_MISMATCH, code::NAMESPACE_EXISTS];

/// How often the stream begins again before a renamed collection is the operator's matter.
const MAX_RENAMED: u32 = 10;

/// How a sync's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Committed,
    Stopped,
}

/// Everything a sync's work needs.
pub struct Work {
    pub source: Cluster,
    pub destination: Destination,
    pub router: Arc<Router>,
    pub chain: Arc<Chain>,
    pub record: Arc<Record>,
    pub status: Arc<Status>,
    pub workers: Workers,
    pub cancel: CancellationToken,
    /// Set once, when commit is asked for.
    pub commit_time: watch::Receiver<Option<ClusterTime>>,
    /// What the session asks of the work while it runs.
    pub wishes: mpsc::Receiver<Wish>,
}

/// What a start found: everything that is to be persisted before the work begins.
pub struct Plan {
    catalog: catalog::Catalog,
    pub total_bytes: u64,
}

impl Plan {
    pub fn start_time(&self) -> ClusterTime {
        self.catalog.time
    }
}

/// Reads what is in scope on the source and how large it is; changes nothing.
pub async fn plan(source: &Cluster, router: Arc<Router>) -> Result<Plan, Error> {
    let source = source.client.called(SOURCE);
    let scope = scope::Scope::new(router);
    let catalog = catalog::capture(&source, &scope).await?;
    let names = catalog.entries.iter();
    names
        .map(|entry| (&entry.source, &entry.destination))
        .try_fold(Names::default(), Names::take)?;
    let mut total_bytes = 0;
    for entry in catalog.entries.iter().filter(|entry| entry.uuid.is_some()) {
        total_bytes += listing::collection_size(&source, &entry.source)
            .await?
            .bytes;
    }
    Ok(Plan {
        catalog,
        total_bytes,
    })
}

/// Persists a plan and its session, together: with that the sync has begun.
pub async fn begin(
    store: &metadata::Store,
    plan: &Plan,
    session: &SessionDocument,
) -> Result<(), mongo::Error> {
    let entries = plan.catalog.entries.iter();
    let namespaces: Vec<_> = entries.map(catalog::Entry::document).collect();
    store.begin(session, &namespaces).await
}

/// Does the work from wherever it stands until commit is done, or it is told to stop.
pub async fn run(work: Work) -> Result<End, Error> {
    let Work {
        source,
        destination,
        router,
        chain,
        record,
        status,
        workers,
        cancel,
        commit_time,
        mut wishes,
    } = work;
    let store = record.store().clone();
    store.settle().await?;
    store.begin_work().await?;
    recopy::mark(&record).await?;
    let context = Arc::new(Context {
        quarantine: quarantine::Quarantine::load(store.clone(), &status).await?,
        chain,
        store,
        source: source.client.called(SOURCE),
        destination,
        scope: scope::Scope::new(router),
        options: record.get().options,
        record: record.clone(),
        workers,
        budget: budget::Budget::new(),
        status,
        cancel,
    });
    let apply_ops = apply_ops::Watch::default();
    let ended = tokio::select! {
        ended = phases(&context, &record, &apply_ops, commit_time, &mut wishes) => ended,
        () = apply_ops.keep(&context, &record) => return Ok(End::Stopped),
    };
    match ended {
        Err(Error::Cancelled) => Ok(End::Stopped),
        other => other,
    }
}

async fn phases(
    context: &Arc<Context>,
    record: &Record,
    apply_ops: &apply_ops::Watch,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    wishes: &mut mpsc::Receiver<Wish>,
) -> Result<End, Error> {
    let session = record.get();
    if session.phase < Phase::Restore {
        indexes::relax_expiry(context).await?;
    }
    context
        .status
        .set_total_bytes(u64::try_from(session.total_bytes).unwrap_or_default());
    if session.phase == Phase::CollectionCopy {
        context.status.set_step(Step::CollectionCopy);
        let copy = copy::run(context, session.start_time);
        wish::while_copying(context, wishes, None, copy).await?;
        record
            .update(|session| session.phase = Phase::IndexBuild)
            .await?;
    } else {
        copy::show_copied(context).await?;
    }
    if record.get().phase == Phase::IndexBuild {
        context.status.set_step(Step::IndexBuild);
        let build = indexes::build_all(context);
        wish::while_copying(context, wishes, None, build).await?;
        record
            .update(|session| session.phase = Phase::ChangeEventApplication)
            .await?;
    }
    if record.get().phase == Phase::ChangeEventApplication {
        context.status.set_step(Step::Initializing);
        match stream(context, session.start_time, commit_time, wishes).await? {
            stream::End::Stopped => return Ok(End::Stopped),
            stream::End::Drained => {
                settle_before_commit(context, session.start_time).await?;
                apply_ops.look(context, record).await;
                record
                    .update(|session| session.phase = Phase::Restore)
                    .await?
            }
        }
    }
    if record.get().phase == Phase::Restore {
        context.status.set_step(Step::Restoring);
        failpoint("commit_started");
        let not_restored = commit::restore(context).await?;
        failpoint("commit_done");
        record
            .update(|session| {
                session.phase = Phase::Done;
                session.state = State::Committed;
                session.not_restored = not_restored;
            })
            .await?;
    }
    context.status.set_step(Step::Committed);
    Ok(End::Committed)
}

/// Applies change events. Where a late rename of earlier work has taken a collection's name away, or
/// given it a name that another one is to get, the stream begins again, which sets the name right.
async fn stream(
    context: &Arc<Context>,
    start_time: ClusterTime,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    wishes: &mut mpsc::Receiver<Wish>,
) -> Result<stream::End, Error> {
    for attempt in 1.. {
        let run = stream::run(context.clone(), start_time, commit_time.clone(), wishes);
        match Box::pin(run).await {
            Err(Error::Mongo(error))
                if RENAMED.iter().any(|code| error.has_code(*code))
                    && attempt < MAX_RENAMED
                    && !context.store.intents().await?.is_empty() =>
            {
                tracing::info!(error = %error, "a late rename has arrived; the stream begins again");
            }
            other => return other,
        }
    }
    Ok(stream::End::Stopped)
}

/// Compares and sets right what the server could not guard against its own delay.
async fn settle_before_commit(
    context: &Arc<Context>,
    start_time: ClusterTime,
) -> Result<(), Error> {
    stream::settle_names(context).await?;
    let position = context.store.position().await?;
    let at = position.map_or(start_time, |position| position.safe.cluster_time);
    copy::compare(context, at).await
}

/// The source's cluster time now: everything acknowledged so far is at or before it. A note in
/// the oplog, where the user may write one, moves an idle source past it at once.
pub async fn take_commit_time(source: &Cluster) -> Result<ClusterTime, Error> {
    let source = source.client.called(SOURCE);
    let taken = timeout(COMMIT_ANSWER, listing::operation_time(&source));
    let time = taken.await.map_err(|_elapsed| no_commit_time())??;
    let note = bson::doc! { "appendOplogNote": 1, "data": { "tidegate": "commit" } };
    let admin = source.database("admin");
    let noted = once(source.at(), COMMIT_ANSWER, async {
        Ok(admin.run_command(note).await?)
    });
    match noted.await {
        Ok(Sent::Done(_)) => {}
        Ok(Sent::Unknown(error)) | Err(error) => {
            tracing::info!(error = %error, "no oplog note; an idle source moves on within ten seconds");
        }
    }
    Ok(time)
}

fn no_commit_time() -> OperatorError {
    OperatorError::new(
        ErrorName::ConnectionFailed,
        format!(
            "The source has not answered for {} s, so that no commit time could be taken. Nothing was changed, and the \
             sync goes on. Call commit again when the source answers.",
            COMMIT_ANSWER.as_secs()
        ),
    )
}
