//! The plan of a copy: created collections and their unfinished partitions.

use std::{collections::VecDeque, sync::Arc};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use super::{
    creation::{self, READERS},
    progress::{show_copied_state, to_u64},
};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, PartitionDocument},
    mongo::listing,
    sync::{Context, Error},
};

/// A partition that is to be copied.
pub(super) struct PartitionJob {
    pub(super) collection: Arc<CollectionCopy>,
    pub(super) partition: PartitionDocument,
}

/// A collection that is being copied, and the number of its unfinished partitions.
pub(super) struct CollectionCopy {
    /// The namespace, with the counts of its copied partitions.
    pub(super) namespace: Mutex<NamespaceDocument>,
    /// The number of partitions that are not copied yet.
    pub(super) unfinished: Mutex<usize>,
    /// The size on the source when the copy was planned.
    pub(super) size: listing::CollectionSize,
}

/// Creates pending collections and lists unfinished partitions, largest collections first.
pub(super) async fn plan(
    context: &Arc<Context>,
    namespaces: Vec<NamespaceDocument>,
) -> Result<VecDeque<PartitionJob>, Error> {
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

async fn sized(
    context: &Context,
    namespace: NamespaceDocument,
) -> Result<creation::CopyCandidate, Error> {
    let size = listing::collection_size(&context.source, &namespace.source).await?;
    Ok((namespace, size))
}

async fn jobs(
    context: &Arc<Context>,
    collections: Vec<creation::CopyCandidate>,
) -> Result<VecDeque<PartitionJob>, Error> {
    let ids: Vec<&str> = collections.iter().map(|(n, _)| n.id.as_str()).collect();
    let mut partitions = context.store.partitions_of(&ids).await?;
    let with_partitions = collections.into_iter().map(|(namespace, size)| {
        let partitions = partitions.remove(&namespace.id).unwrap_or_default();
        (namespace, size, partitions)
    });
    let with_partitions: Vec<_> = with_partitions.collect();
    let jobs = stream::iter(with_partitions)
        .map(|(namespace, size, partitions)| jobs_of(context, namespace, size, partitions).boxed())
        .buffered(READERS)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(jobs.into_iter().flatten().collect())
}

async fn jobs_of(
    context: &Context,
    mut namespace: NamespaceDocument,
    size: listing::CollectionSize,
    partitions: Vec<PartitionDocument>,
) -> Result<Vec<PartitionJob>, Error> {
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
    let collection = Arc::new(CollectionCopy {
        namespace: Mutex::new(namespace),
        unfinished: Mutex::new(unfinished.len()),
        size,
    });
    Ok(unfinished
        .into_iter()
        .map(|partition| PartitionJob {
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
