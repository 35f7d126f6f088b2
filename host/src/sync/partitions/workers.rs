//! The workers' part of the map: jobs, stays, and the beginning of partitions.

use std::sync::Arc;

use super::{
    CopyJob, ParkedKey, PartitionMap, PartitionState, Stay, collection::CollectionPartitions,
    map::Inner,
};
use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::{ClusterTime, event::CollectionUuid},
};

/// A job that a worker has taken.
pub(crate) enum TakenJob {
    /// Collections to plan, each with the worker's stay in it.
    Plan(Vec<(NamespaceDocument, Stay)>),
    /// A partition to copy or to compare.
    Copy(Box<PartitionJob>),
}

/// A partition that a worker has taken.
pub(crate) struct PartitionJob {
    /// The namespace as of the newest decided event.
    pub(crate) namespace: NamespaceDocument,
    /// The partition as it was persisted, with T0.
    pub(crate) partition: PartitionDocument,
    /// Reads see every write up to this time, which is at or after T0.
    pub(crate) after: ClusterTime,
    /// Whether it is copied, was not begun before, and has no upper bound. The destination may have
    /// documents above the source's greatest `_id` that only a comparison finds.
    pub(crate) may_be_split: bool,
    /// The plan of the collection that the partition belongs to.
    pub(crate) generation: u64,
    /// The average size of a document in bytes, at least 1.
    pub(crate) average_bytes: u64,
    /// The worker's stay in the collection.
    pub(crate) stay: Stay,
}

impl PartitionMap {
    /// The most urgent job, after waiting for one; `None` after [`Self::close`].
    ///
    /// Cancel safe.
    pub(crate) async fn next_job(self: &Arc<Self>) -> Option<TakenJob> {
        self.wait_for(|inner| {
            while let Some(job) = inner.queue.pop() {
                if let Some(taken) = self.take(inner, job) {
                    return Some(taken);
                }
            }
            None
        })
        .await
    }

    /// The next collection whose indexes are to be built, after waiting for one; `None` after
    /// [`Self::close`].
    ///
    /// Cancel safe.
    pub(crate) async fn next_build(self: &Arc<Self>) -> Option<(NamespaceDocument, Stay)> {
        self.wait_for(|inner| {
            while let Some(uuid) = inner.queue.builds.pop_front() {
                let Some(collection) = inner.collections.get_mut(&uuid) else {
                    continue;
                };
                // A withdrawn collection is queued again when it is returned.
                if collection.withdrawn || !collection.wants_indexes {
                    continue;
                }
                return Some((collection.namespace.clone(), enter(collection, self, uuid)));
            }
            None
        })
        .await
    }

    async fn wait_for<T>(&self, take: impl Fn(&mut Inner) -> Option<T>) -> Option<T> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut inner = self.inner.lock();
                if inner.closed {
                    return None;
                }
                if let Some(taken) = take(&mut inner) {
                    return Some(taken);
                }
            }
            changed.await;
        }
    }

    fn take(self: &Arc<Self>, inner: &mut Inner, job: CopyJob) -> Option<TakenJob> {
        match job {
            CopyJob::Plan(uuids) => {
                let taken = uuids.into_iter().filter_map(|uuid| {
                    if inner.is_withdrawn_from(uuid, &CopyJob::Plan(vec![uuid]))? {
                        return None;
                    }
                    let collection = inner.collections.get_mut(&uuid)?;
                    Some((collection.namespace.clone(), enter(collection, self, uuid)))
                });
                let taken: Vec<_> = taken.collect();
                (!taken.is_empty()).then_some(TakenJob::Plan(taken))
            }
            CopyJob::Copy(uuid, ref id) => {
                if inner.is_withdrawn_from(uuid, &job)? {
                    return None;
                }
                let job = inner.begin(uuid, id, self)?;
                Some(TakenJob::Copy(Box::new(job)))
            }
        }
    }

    /// Puts a partition back that a worker has left unfinished, with its persisted progress.
    pub(crate) fn put_back(
        &self,
        (uuid, generation): (CollectionUuid, u64),
        document: PartitionDocument,
    ) {
        let mut inner = self.inner.lock();
        let Some(collection) = inner.collection(uuid, generation) else {
            return;
        };
        let id = document.id.clone();
        if let Some(partition) = collection.partition(&id) {
            partition.document = document;
            partition.taken = false;
        }
        inner.push(uuid, CopyJob::Copy(uuid, id));
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Parks keys of documents that differ between the clusters, until their partition is done.
    pub(crate) fn park(
        &self,
        (uuid, generation): (CollectionUuid, u64),
        partition_id: &str,
        keys: Vec<ParkedKey>,
    ) {
        let mut inner = self.inner.lock();
        let collection = inner.collection(uuid, generation);
        let partition = collection.and_then(|it| it.partition(partition_id));
        if let Some(partition) = partition {
            keys.into_iter().for_each(|key| partition.park(key));
        }
    }

    /// Splits a partition in work at the lower bound of `upper`, which is in work then too.
    pub(crate) fn split(
        &self,
        (uuid, generation): (CollectionUuid, u64),
        lower: &PartitionDocument,
        upper: PartitionDocument,
        greatest: ParkedKey,
    ) {
        let mut inner = self.inner.lock();
        if let Some(collection) = inner.collection(uuid, generation) {
            collection.split(lower, upper, greatest);
        }
    }

    /// Ends the waits of all workers.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_waiters();
    }

    pub(super) fn is_withdrawn(&self, uuid: CollectionUuid) -> bool {
        let inner = self.inner.lock();
        let collection = inner.collections.get(&uuid);
        inner.closed || collection.is_none_or(|it| it.withdrawn)
    }

    pub(super) fn leave(&self, uuid: CollectionUuid) {
        if let Some(collection) = self.inner.lock().collections.get_mut(&uuid) {
            collection.stays -= 1;
        }
        self.changed.notify_waiters();
    }
}

impl Inner {
    /// Whether the collection is withdrawn, so that the job waits until it is returned; `None` if
    /// there is no such collection any more.
    fn is_withdrawn_from(&mut self, uuid: CollectionUuid, job: &CopyJob) -> Option<bool> {
        let collection = self.collections.get_mut(&uuid)?;
        if collection.withdrawn {
            collection.deferred.push(job.clone());
        }
        Some(collection.withdrawn)
    }

    /// Begins a partition: T0 is the time of the newest decided event. A partition that is in work
    /// already keeps its T0.
    fn begin(
        &mut self,
        uuid: CollectionUuid,
        id: &str,
        map: &Arc<PartitionMap>,
    ) -> Option<PartitionJob> {
        let (decided, read_after) = (self.decided, self.read_after);
        let collection = self.collections.get_mut(&uuid)?;
        let may_be_split = !collection.is_capped();
        let partition = collection.partition(id)?;
        let (since, first) = match partition.state {
            PartitionState::Unseen => (decided, true),
            PartitionState::InWork(since) => (since, false),
            PartitionState::Done(_) => return None,
        };
        if std::mem::replace(&mut partition.taken, true) {
            return None;
        }
        partition.state = PartitionState::InWork(since);
        partition.document.begun_at = Some(since);
        let document = partition.document.clone();
        Some(PartitionJob {
            namespace: collection.namespace.clone(),
            after: since.max(decided).max(read_after),
            may_be_split: may_be_split && first && document.upper.is_none() && !document.compare,
            partition: document,
            generation: collection.generation,
            average_bytes: collection.average_bytes,
            stay: enter(collection, map, uuid),
        })
    }
}

/// Lets a worker into a collection.
fn enter(
    collection: &mut CollectionPartitions,
    map: &Arc<PartitionMap>,
    uuid: CollectionUuid,
) -> Stay {
    collection.stays += 1;
    Stay {
        map: map.clone(),
        uuid,
    }
}
