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

mod compare;
mod find;
mod partition;
mod worker;

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::{Mutex, Semaphore};

use super::{Context, Error, indexes, letters};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, PartitionDocument},
    model::{ClusterTime, Namespace, options::BuildIndexes, progress::CollectionProgress},
    mongo::{code, listing, write::CollectionRef},
    observe::failpoint,
};
pub(super) use compare::compare;
use worker::PartitionCopier;

/// KiB of documents in memory at once, over all workers. A reply can be 16 MiB,
/// so a read first reserves that much, and gives back what it did not take.
const BUDGET_KIB: usize = 96 * 1024;

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
    let budget = Arc::new(Semaphore::new(BUDGET_KIB));
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..context.workers.count() {
        let (context, queue, budget) = (context.clone(), queue.clone(), budget.clone());
        workers.spawn(async move { work(&context, &queue, &budget, after).await });
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
    work(
        context,
        &queue,
        &Arc::new(Semaphore::new(BUDGET_KIB)),
        after,
    )
    .await
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
    let mut collections = Vec::new();
    for mut namespace in namespaces {
        context.check_cancelled()?;
        if namespace.kind == NamespaceKind::View {
            mark_copied(context, &mut namespace).await?;
            continue;
        }
        if namespace.copy_state >= CopyState::Copied {
            context.status.copied(
                &namespace.source,
                to_u64(namespace.documents),
                to_u64(namespace.bytes),
            );
            continue;
        }
        let size = listing::collection_size(&context.source, &namespace.source).await?;
        if namespace.copy_state == CopyState::Pending {
            create(context, &mut namespace, size).await?;
        } else if namespace.destination_uuid.is_none() {
            find_uuid(context, &mut namespace).await?;
        }
        collections.push((namespace, size));
    }
    collections.sort_by_key(|(_, size)| std::cmp::Reverse(size.bytes));
    let mut jobs = VecDeque::new();
    for (namespace, size) in collections {
        jobs.extend(jobs_of(context, namespace, size).await?);
    }
    Ok(jobs)
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
        mark_copied(context, &mut namespace).await?;
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

/// Creates a collection on the destination and persists its partitions, in one transaction. The
/// destination was empty at the start, so a collection that has the name of a pending one is
/// what is to be copied again, or what an earlier release has left.
async fn create(
    context: &Context,
    namespace: &mut NamespaceDocument,
    size: listing::CollectionSize,
) -> Result<(), Error> {
    let partitions = partition::split(&context.source, namespace, size).await?;
    namespace.copy_state = CopyState::Copying;
    namespace.destination_uuid = None;
    let name = &namespace.destination;
    let create = indexes::create_command(&name.collection, &namespace.options)?;
    let begin = || {
        let store = &context.store;
        store.begin_copy(namespace, &partitions, create.clone())
    };
    match begin().await {
        Err(error) if error.has_code(code::NAMESPACE_EXISTS) => {
            drop_existing(context, namespace).await?;
            begin().await?;
        }
        Err(error) if letters::free_name(context, &name.database, &error).await? => {
            begin().await?;
        }
        other => other?,
    }
    find_uuid(context, namespace).await?;
    if context.options.build_indexes == BuildIndexes::BeforeDataCopy {
        indexes::build_namespace(context, namespace).await?;
    }
    context
        .status
        .with_collection(&namespace.source, |collection| collection.state = "copying");
    Ok(())
}

/// Records the UUID that a collection got when it was created.
async fn find_uuid(context: &Context, namespace: &mut NamespaceDocument) -> Result<(), Error> {
    let Namespace {
        database,
        collection,
    } = &namespace.destination;
    namespace.destination_uuid = indexes::destination_uuid(context, database, collection).await?;
    Ok(context.store.put_namespace(namespace).await?)
}

/// Drops what has the namespace's name on the destination; a collection by its UUID.
async fn drop_existing(context: &Context, namespace: &NamespaceDocument) -> Result<(), Error> {
    let name = &namespace.destination;
    let database = context.destination.database(&name.database);
    let uuid = indexes::destination_uuid(context, &name.database, &name.collection).await?;
    indexes::refuse_another(context, &namespace.id, uuid.as_ref()).await?;
    let existing = CollectionRef {
        uuid: uuid.and_then(|hex| NamespaceDocument::uuid_of_id(&hex)),
        namespace: name.clone(),
    };
    let mut command = bson::rawdoc! { "drop": name.collection.as_str() };
    existing.append_uuid(&mut command);
    command.append(
        bson::cstr!("writeConcern"),
        bson::rawdoc! { "w": "majority" },
    );
    match indexes::run(&database, command).await {
        // Gone already: an attempt whose answer was lost.
        Err(Error::Mongo(error)) if error.whereabouts(&name.collection).is_some() => Ok(()),
        other => other,
    }
}

async fn mark_copied(context: &Context, namespace: &mut NamespaceDocument) -> Result<(), Error> {
    if namespace.copy_state < CopyState::Copied {
        namespace.copy_state = CopyState::Copied;
        context.store.put_namespace(namespace).await?;
    }
    context
        .status
        .with_collection(&namespace.source, |collection| collection.state = "copied");
    Ok(())
}

/// One worker: takes the next partition until none is left.
async fn work(
    context: &Arc<Context>,
    queue: &Mutex<VecDeque<Job>>,
    budget: &Arc<Semaphore>,
    after: ClusterTime,
) -> Result<(), Error> {
    loop {
        context.check_cancelled()?;
        let Some(Job {
            collection,
            partition,
        }) = queue.lock().await.pop_front()
        else {
            return Ok(());
        };
        let namespace = collection.namespace.lock().await.clone();
        let copier = PartitionCopier {
            context,
            budget,
            chain: context.chain.of(&namespace.source)?,
            namespace,
            average_bytes: collection.size.average(),
            after,
        };
        let partition = copier.run(partition).await?;
        let mut namespace = collection.namespace.lock().await;
        namespace.documents += partition.documents;
        namespace.bytes += partition.bytes;
        let mut unfinished = collection.unfinished.lock().await;
        *unfinished -= 1;
        if *unfinished == 0 {
            mark_copied(context, &mut namespace).await?;
        }
        drop(namespace);
        failpoint("copy_partition_done");
    }
}

fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}
