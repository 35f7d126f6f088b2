//! Collection copy: every collection in scope, as raw documents, in partitions.
//!
//! A collection is read by its UUID, under whatever name it has by now, and
//! written under the name it had at the start time; the change stream, opened
//! at the start time, then repeats what has happened since. So it does not
//! matter at which moment a document was read, only that it was read at or
//! after the start time (`afterClusterTime`) and that every document that has
//! been there since the start time is read.
//!
//! Invariant: a partition's `lastId` is persisted after every document up to it
//! is durable. A killed copy goes on from there; what it had copied beyond is
//! copied again, and refused as duplicates, which is harmless.
//!
//! Inserts of the copy have no guard: transactions cost the destination a third more. What a late one can do
//! is to bring back a document that was deleted since. So a partition is persisted as begun before
//! its first insert, and is suspect where an insert may still be under way: one that was begun and not
//! done when work began, or that lost an answer. Suspect partitions are compared before commit (`compare`).

mod collection_reader;
mod compare;
mod creation;
mod find;
mod insertion;
mod partition;
mod worker;

use std::{collections::VecDeque, sync::Arc};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use super::{Context, Error, indexes};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, PartitionDocument},
    model::{ClusterTime, progress::CollectionProgress},
    mongo::listing,
    observe::failpoint,
};
pub(super) use compare::compare;
use worker::PartitionCopier;

/// Answers of the clusters that are waited for at the same time, where many collections are asked about.
const READERS: usize = 16;

/// Copies everything that is not yet copied.
pub(super) async fn run(context: &Arc<Context>, start_time: ClusterTime) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    show(context, &namespaces);
    copy_all(context, namespaces, start_time).await?;
    failpoint("copy_done");
    Ok(())
}

/// Copies what is not yet copied of these namespaces; reads see everything up to `after`.
pub(super) async fn copy_all(
    context: &Arc<Context>,
    namespaces: Vec<NamespaceDocument>,
    after: ClusterTime,
) -> Result<(), Error> {
    let queue = plan(context, namespaces).await?;
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..context.workers.count() {
        let (context, queue) = (context.clone(), queue.clone());
        workers.spawn(async move { work(&context, &queue, after).await });
    }
    let mut outcome = Ok(());
    while let Some(joined) = workers.join_next().await {
        if let Err(error) = joined.map_err(Error::from).flatten() {
            context.cancel.cancel();
            outcome = keep_first_failure(outcome, error);
        }
    }
    outcome
}

/// A failure is kept over the cancellations that it causes.
fn keep_first_failure(outcome: Result<(), Error>, error: Error) -> Result<(), Error> {
    match outcome {
        Ok(()) | Err(Error::Cancelled) => Err(error),
        first => first,
    }
}

/// Shows what an earlier run has copied.
pub(super) async fn show_copied(context: &Context) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    show(context, &namespaces);
    for namespace in &namespaces {
        context.status.copied(
            &namespace.source,
            to_u64(namespace.documents),
            to_u64(namespace.bytes),
        );
    }
    indexes::plan(context, &namespaces);
    Ok(())
}

/// Copies one collection that has come into scope while the stream runs.
pub(super) async fn copy_one(
    context: &Arc<Context>,
    namespace: NamespaceDocument,
    after: ClusterTime,
) -> Result<(), Error> {
    let queue = Mutex::new(plan(context, vec![namespace]).await?);
    work(context, &queue, after).await
}

struct Job {
    collection: Arc<Collection>,
    partition: PartitionDocument,
}

/// A collection that is being copied and how many of its partitions are left.
struct Collection {
    namespace: Mutex<NamespaceDocument>,
    unfinished: Mutex<usize>,
    size: listing::CollectionSize,
}

fn show(context: &Context, namespaces: &[NamespaceDocument]) {
    for namespace in namespaces {
        context.status.set_collection(CollectionProgress {
            namespace: namespace.source.clone(),
            destination: namespace.destination.clone(),
            state: state_name(namespace.copy_state),
            documents: 0,
            bytes: 0,
        });
    }
}

fn state_name(state: CopyState) -> &'static str {
    match state {
        CopyState::Pending => "pending",
        CopyState::Copying => "copying",
        CopyState::Copied => "copied",
        CopyState::Ready => "ready",
    }
}

/// Creates what is pending and lists the partitions that are not done, largest collections first.
async fn plan(
    context: &Arc<Context>,
    namespaces: Vec<NamespaceDocument>,
) -> Result<VecDeque<Job>, Error> {
    let (mut views, mut copied, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for namespace in namespaces {
        match namespace.kind {
            NamespaceKind::View => views.push(namespace),
            _ if namespace.copy_state >= CopyState::Copied => copied.push(namespace),
            _ => rest.push(namespace),
        }
    }
    mark_copied(context, &mut views).await?;
    for namespace in copied {
        context.status.copied(
            &namespace.source,
            to_u64(namespace.documents),
            to_u64(namespace.bytes),
        );
    }
    let mut collections = stream::iter(rest)
        .map(|namespace| sized(context, namespace).boxed())
        .buffered(READERS)
        .try_collect::<Vec<_>>()
        .await?;
    creation::create_all(context, &mut collections).await?;
    collections.sort_by_key(|(_, size)| std::cmp::Reverse(size.bytes));
    jobs(context, collections).await
}

async fn sized(context: &Context, namespace: NamespaceDocument) -> Result<creation::Sized, Error> {
    let size = listing::collection_size(&context.source, &namespace.source).await?;
    Ok((namespace, size))
}

async fn jobs(
    context: &Arc<Context>,
    collections: Vec<creation::Sized>,
) -> Result<VecDeque<Job>, Error> {
    let jobs = stream::iter(collections)
        .map(|(namespace, size)| jobs_of(context, namespace, size).boxed())
        .buffered(READERS)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(jobs.into_iter().flatten().collect())
}

async fn jobs_of(
    context: &Context,
    mut namespace: NamespaceDocument,
    size: listing::CollectionSize,
) -> Result<Vec<Job>, Error> {
    let partitions = context.store.partitions(&namespace.id).await?;
    for partition in &partitions {
        context.status.copied(
            &namespace.source,
            to_u64(partition.documents),
            to_u64(partition.bytes),
        );
    }
    namespace.documents = partitions
        .iter()
        .filter(|p| p.done)
        .map(|p| p.documents)
        .sum();
    namespace.bytes = partitions.iter().filter(|p| p.done).map(|p| p.bytes).sum();
    let unfinished: Vec<_> = partitions
        .into_iter()
        .filter(|partition| !partition.done)
        .collect();
    if unfinished.is_empty() {
        mark_copied(context, std::slice::from_mut(&mut namespace)).await?;
    }
    let collection = Arc::new(Collection {
        namespace: Mutex::new(namespace),
        unfinished: Mutex::new(unfinished.len()),
        size,
    });
    Ok(unfinished
        .into_iter()
        .map(|partition| Job {
            collection: collection.clone(),
            partition,
        })
        .collect())
}

async fn mark_copied(context: &Context, namespaces: &mut [NamespaceDocument]) -> Result<(), Error> {
    for namespace in namespaces.iter_mut() {
        namespace.copy_state = namespace.copy_state.max(CopyState::Copied);
    }
    context.store.put_namespaces(namespaces).await?;
    show_copied_state(context, namespaces);
    Ok(())
}

fn show_copied_state(context: &Context, namespaces: &[NamespaceDocument]) {
    for namespace in namespaces {
        context
            .status
            .with_collection(&namespace.source, |collection| collection.state = "copied");
    }
}

/// One worker: takes the next partition until none is left.
async fn work(
    context: &Arc<Context>,
    queue: &Mutex<VecDeque<Job>>,
    after: ClusterTime,
) -> Result<(), Error> {
    let mut done = Done::default();
    loop {
        context.check_cancelled()?;
        let next = queue.lock().await.pop_front();
        let Some(Job {
            collection,
            partition,
        }) = next
        else {
            return done.persist(context).await;
        };
        let namespace = collection.namespace.lock().await.clone();
        let copier = PartitionCopier {
            context,
            chain: context.chain.of(&namespace.source)?,
            namespace,
            average_bytes: collection.size.average(),
            after,
        };
        let partition = copier.run(partition).await?;
        done.take(&collection, partition).await;
        if done.is_worth_it() {
            done.persist(context).await?;
        }
    }
}

/// Partitions that are copied, and the collections of which they were the last ones: not yet persisted.
/// Those without documents wait for others, since persisting costs more than copying them again.
#[derive(Default)]
struct Done {
    partitions: Vec<PartitionDocument>,
    namespaces: Vec<NamespaceDocument>,
}

impl Done {
    /// Partitions that are persisted together.
    const TOGETHER: usize = 100;

    async fn take(&mut self, collection: &Collection, partition: PartitionDocument) {
        let mut namespace = collection.namespace.lock().await;
        namespace.documents += partition.documents;
        namespace.bytes += partition.bytes;
        let mut unfinished = collection.unfinished.lock().await;
        *unfinished -= 1;
        if *unfinished == 0 {
            namespace.copy_state = namespace.copy_state.max(CopyState::Copied);
            self.namespaces.push(namespace.clone());
        }
        self.partitions.push(partition);
    }

    fn is_worth_it(&self) -> bool {
        self.partitions.len() >= Self::TOGETHER
            || self.partitions.iter().any(|done| done.documents > 0)
    }

    async fn persist(&mut self, context: &Context) -> Result<(), Error> {
        let Self {
            partitions,
            namespaces,
        } = std::mem::take(self);
        context.store.put_done(&partitions, &namespaces).await?;
        show_copied_state(context, &namespaces);
        if !partitions.is_empty() {
            failpoint("copy_partition_done");
        }
        Ok(())
    }
}

fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}
