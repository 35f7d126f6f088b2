//! All collections that are being copied, shared by the event loop and the workers.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    CopyJob, Decision, ParkedKey, Partition, PartitionState,
    collection::CollectionPartitions,
    queue::{CAPPED, Queue},
};
use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::{ClusterTime, event::CollectionUuid},
    mongo::listing::CollectionSize,
};

/// Collections that are planned together.
const PLANNED_TOGETHER: usize = 50;

/// The collections that are not settled, and the jobs of their workers.
///
/// A collection that is missing is settled: all of its events are applied.
#[derive(Default)]
pub(crate) struct PartitionMap {
    pub(super) inner: Mutex<Inner>,
    /// Notified when jobs are added, and when a worker leaves or has to leave.
    pub(super) changed: Notify,
}

/// The state of the map.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) collections: HashMap<CollectionUuid, CollectionPartitions>,
    pub(super) queue: Queue,
    /// The time of the newest decided event.
    pub(super) decided: ClusterTime,
    start_time: ClusterTime,
    /// Reads of partitions see every write up to this time.
    pub(super) read_after: ClusterTime,
    generations: u64,
    /// Workers get no more jobs.
    pub(super) closed: bool,
}

/// A partition that is done, for the look-ups of its parked keys.
pub(crate) struct FinishedPartition {
    /// As it is to be persisted.
    pub(crate) document: PartitionDocument,
    /// Its parked keys, in the order of their first events.
    pub(crate) parked: Vec<ParkedKey>,
    /// Whether more keys are persisted.
    pub(crate) has_stored_keys: bool,
    /// Whether all partitions of the collection are done.
    pub(crate) is_last: bool,
}

/// The decisions on a run of events, under one lock.
pub(crate) struct Decisions<'m>(parking_lot::MutexGuard<'m, Inner>);

impl Decisions<'_> {
    /// Decides on an event of a document.
    pub(crate) fn decide(
        &mut self,
        uuid: CollectionUuid,
        (id_kind, id): (u8, &[u8]),
        time: ClusterTime,
    ) -> Decision {
        self.0.decided = self.0.decided.max(time);
        match self.0.collections.get_mut(&uuid) {
            Some(collection) => collection.decide(id_kind, id, time),
            None => Decision::Applied(ClusterTime::default()),
        }
    }

    /// Whether the server has to give the document's place.
    pub(crate) fn is_unplaced(&self, uuid: CollectionUuid, (id_kind, id): (u8, &[u8])) -> bool {
        let collection = self.0.collections.get(&uuid);
        collection.is_some_and(|it| !it.partitions.is_empty() && it.place(id_kind, id).is_none())
    }

    /// Whether every collection is settled, so that all events are applied.
    pub(crate) fn is_trivial(&self) -> bool {
        self.0.collections.is_empty()
    }

    /// Notes that everything up to `time` is decided.
    pub(crate) fn decided(&mut self, time: ClusterTime) {
        self.0.decided = self.0.decided.max(time);
    }
}

/// The event loop's part.
impl PartitionMap {
    /// Begins at the stream's position. `start_time`: T0 of partitions of earlier releases.
    pub(crate) fn begin(&self, position: ClusterTime, start_time: ClusterTime) {
        *self.inner.lock() = Inner {
            decided: position,
            start_time,
            ..Inner::default()
        };
    }

    /// Lets partitions be read at or after `time` from now on. Events up to a look-up's time are
    /// passed over, so a collection that is copied again is not read at an earlier time.
    pub(crate) fn read_after(&self, time: ClusterTime) {
        let mut inner = self.inner.lock();
        inner.read_after = inner.read_after.max(time);
    }

    /// The critical section of decisions.
    pub(crate) fn decisions(&self) -> Decisions<'_> {
        Decisions(self.inner.lock())
    }

    /// The time of the newest decided event.
    pub(crate) fn decided(&self) -> ClusterTime {
        self.inner.lock().decided
    }

    /// Adds collections that are not planned.
    pub(crate) fn add(&self, namespaces: Vec<NamespaceDocument>) {
        let mut inner = self.inner.lock();
        let mut added = Vec::with_capacity(namespaces.len());
        for namespace in namespaces {
            if let Some(uuid) = namespace.uuid() {
                inner.insert(uuid, namespace);
                added.push(uuid);
            }
        }
        for chunk in added.chunks(PLANNED_TOGETHER) {
            inner.queue.plan(chunk.to_vec());
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Sets the planned partitions of a collection, and queues those that are not done. Returns
    /// whether all of them are done.
    pub(crate) fn plan(
        &self,
        namespace: NamespaceDocument,
        partitions: Vec<PartitionDocument>,
        size: CollectionSize,
    ) -> bool {
        let Some(uuid) = namespace.uuid() else {
            return false;
        };
        let mut inner = self.inner.lock();
        let start_time = inner.start_time;
        let collection = inner.insert_if_absent(uuid, &namespace);
        collection.namespace = namespace;
        collection.plan(partitions, start_time);
        collection.average_bytes = size.average();
        collection.priority = if collection.is_capped() {
            CAPPED
        } else {
            size.bytes
        };
        let is_done = collection.is_done();
        // The last partition comes first: it takes the inserts of growing `_id`s.
        let unfinished = collection.partitions.iter().rev();
        let unfinished = unfinished.filter(|it| !matches!(it.state, PartitionState::Done(_)));
        let jobs: Vec<_> = unfinished
            .map(|it| CopyJob::Copy(uuid, it.document.id.clone()))
            .collect();
        for job in jobs {
            inner.push(uuid, job);
        }
        drop(inner);
        self.changed.notify_waiters();
        is_done
    }

    /// Done partitions whose parked keys are to be looked up, after a restart.
    pub(crate) fn finished(&self) -> Vec<(CollectionUuid, FinishedPartition)> {
        let inner = self.inner.lock();
        let partitions = inner.collections.iter().flat_map(|(uuid, collection)| {
            let partitions = collection.partitions.iter();
            partitions.map(move |partition| (*uuid, partition))
        });
        let finished = partitions.filter(|(_, partition)| {
            matches!(partition.state, PartitionState::Done(_)) && partition.parked_count() > 0
        });
        let finished = finished.map(|(uuid, partition)| {
            let finished = FinishedPartition {
                document: partition.document.clone(),
                parked: partition.parked(),
                has_stored_keys: false,
                is_last: false,
            };
            (uuid, finished)
        });
        finished.collect()
    }

    /// The namespace of a collection that is not settled.
    pub(crate) fn namespace(&self, uuid: CollectionUuid) -> Option<NamespaceDocument> {
        let inner = self.inner.lock();
        let collection = inner.collections.get(&uuid)?;
        Some(collection.namespace.clone())
    }

    /// Changes the namespace of a collection, if it is not settled.
    pub(crate) fn update(&self, namespace: &NamespaceDocument) {
        let mut inner = self.inner.lock();
        let collection = namespace.uuid();
        if let Some(known) = collection.and_then(|uuid| inner.collections.get_mut(&uuid)) {
            known.namespace.clone_from(namespace);
        }
    }

    /// Forgets a collection. Invariant: it is withdrawn.
    pub(crate) fn remove(&self, uuid: CollectionUuid) {
        self.inner.lock().collections.remove(&uuid);
    }

    /// Keeps workers out of a collection, and waits until all have left it.
    ///
    /// Cancel safe: a dropped call leaves the collection withdrawn.
    pub(crate) async fn withdraw(&self, uuid: CollectionUuid) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut inner = self.inner.lock();
                let Some(collection) = inner.collections.get_mut(&uuid) else {
                    return;
                };
                let first = !std::mem::replace(&mut collection.withdrawn, true);
                if collection.stays == 0 {
                    return;
                }
                drop(inner);
                if first {
                    self.changed.notify_waiters();
                }
            }
            changed.await;
        }
    }

    /// Returns a withdrawn collection to the workers.
    pub(crate) fn give_back(&self, uuid: CollectionUuid) {
        let mut inner = self.inner.lock();
        let Some(collection) = inner.collections.get_mut(&uuid) else {
            return;
        };
        if !std::mem::replace(&mut collection.withdrawn, false) {
            return;
        }
        if collection.wants_indexes {
            inner.queue.builds.push_back(uuid);
        }
        let deferred = inner.collections.get_mut(&uuid);
        let deferred = deferred.map(|it| std::mem::take(&mut it.deferred));
        for job in deferred.unwrap_or_default() {
            inner.push(uuid, job);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Marks a partition as done at `at`, and returns it for the look-ups of its keys.
    pub(crate) fn done(
        &self,
        (uuid, generation): (CollectionUuid, u64),
        document: PartitionDocument,
        at: ClusterTime,
    ) -> Option<FinishedPartition> {
        let mut inner = self.inner.lock();
        let collection = inner.collection(uuid, generation)?;
        let partition = collection.partition(&document.id)?;
        partition.state = PartitionState::Done(at);
        partition.document = PartitionDocument {
            done: true,
            begun: false,
            done_at: Some(at),
            ..document
        };
        Some(FinishedPartition {
            document: partition.document.clone(),
            parked: partition.parked(),
            has_stored_keys: partition.has_stored_keys,
            is_last: collection.is_done(),
        })
    }

    /// Notes that the parked keys of a partition have been looked up. Returns whether persisted
    /// keys are to be removed.
    pub(crate) fn looked_up(&self, uuid: CollectionUuid, partition_id: &str) -> bool {
        let mut inner = self.inner.lock();
        let collection = inner.collections.get_mut(&uuid);
        let partition = collection.and_then(|it| it.partition(partition_id));
        partition.is_some_and(Partition::clear_parked)
    }
}

impl Inner {
    fn insert(&mut self, uuid: CollectionUuid, namespace: NamespaceDocument) {
        self.generations += 1;
        let collection = CollectionPartitions::new(namespace, self.generations);
        self.collections.insert(uuid, collection);
    }

    fn insert_if_absent(
        &mut self,
        uuid: CollectionUuid,
        namespace: &NamespaceDocument,
    ) -> &mut CollectionPartitions {
        let generations = &mut self.generations;
        self.collections.entry(uuid).or_insert_with(|| {
            *generations += 1;
            CollectionPartitions::new(namespace.clone(), *generations)
        })
    }

    /// The collection, if it has not been planned anew since `generation`.
    pub(super) fn collection(
        &mut self,
        uuid: CollectionUuid,
        generation: u64,
    ) -> Option<&mut CollectionPartitions> {
        let collection = self.collections.get_mut(&uuid)?;
        (collection.generation == generation).then_some(collection)
    }

    /// Queues a job of a collection, or keeps it until the collection is returned.
    pub(super) fn push(&mut self, uuid: CollectionUuid, job: CopyJob) {
        let Some(collection) = self.collections.get_mut(&uuid) else {
            return;
        };
        if collection.withdrawn {
            collection.deferred.push(job);
            return;
        }
        match job {
            CopyJob::Plan(uuids) => self.queue.plan(uuids),
            CopyJob::Copy(uuid, partition) => self.queue.copy(collection.priority, uuid, partition),
        }
    }
}
