//! The workers of a copy. Each takes the next partition until none is left.

use std::{collections::VecDeque, sync::Arc};

use tokio::{sync::Mutex, task::JoinSet};
use tracing::Instrument;

use super::{
    completion::Completion,
    plan::{PartitionJob, plan},
    worker::PartitionCopier,
};
use crate::{
    metadata::NamespaceDocument,
    model::ClusterTime,
    sync::{Context, Error, Workers},
};

/// Copies the namespaces that are not copied yet. Reads see every write up to `after`.
///
/// The first failure cancels the other workers, and is returned after all have ended.
pub(in crate::sync) async fn copy_all(
    context: &Arc<Context>,
    namespaces: Vec<NamespaceDocument>,
    after: ClusterTime,
) -> Result<(), Error> {
    let queue = plan(context, namespaces).await?;
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = JoinSet::new();
    for number in 0..Workers::MOST {
        let (context, queue) = (context.clone(), queue.clone());
        let span = tracing::info_span!("copier", number);
        workers.spawn(async move { work(&context, &queue, after).await }.instrument(span));
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

/// Keeps a failure over the cancellations that it causes.
fn keep_first_failure(outcome: Result<(), Error>, error: Error) -> Result<(), Error> {
    match outcome {
        Ok(()) | Err(Error::Cancelled) => Err(error),
        first => first,
    }
}

/// Copies a collection that comes into scope while the stream runs.
pub(in crate::sync) async fn copy_one(
    context: &Arc<Context>,
    namespace: NamespaceDocument,
    after: ClusterTime,
) -> Result<(), Error> {
    let queue = Mutex::new(plan(context, vec![namespace]).await?);
    work(context, &queue, after).await
}

/// Copies partitions from the queue until it is empty.
async fn work(
    context: &Arc<Context>,
    queue: &Mutex<VecDeque<PartitionJob>>,
    after: ClusterTime,
) -> Result<(), Error> {
    let mut completion = Completion::default();
    let mut turn = context.workers.turn().await;
    loop {
        context.check_cancelled()?;
        if turn.is_excess() {
            completion.persist(context).await?;
            drop(turn);
            turn = context.workers.turn().await;
        }
        let next = queue.lock().await.pop_front();
        let Some(PartitionJob {
            collection,
            partition,
        }) = next
        else {
            return completion.persist(context).await;
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
        completion.take(&collection, partition).await;
        if completion.is_worth_it() {
            completion.persist(context).await?;
        }
    }
}
