//! The state of the map that is persisted with the position.

use super::{ParkedKey, PartitionMap, map::Inner};
use crate::{
    metadata::{CopyState, NamespaceDocument, ParkedKeyDocument, Phase},
    model::event::CollectionUuid,
    sync::Error,
};

/// Parked keys that are not persisted, as documents and as keys.
#[derive(Default)]
pub(crate) struct UnpersistedKeys {
    /// The documents to write.
    pub(crate) documents: Vec<ParkedKeyDocument>,
    keys: Vec<(CollectionUuid, String, Vec<ParkedKey>)>,
}

impl PartitionMap {
    /// The parked keys that are not persisted.
    pub(crate) fn unpersisted(&self) -> Result<UnpersistedKeys, Error> {
        let inner = self.inner.lock();
        let mut unpersisted = UnpersistedKeys::default();
        for (uuid, collection) in &inner.collections {
            for partition in &collection.partitions {
                let keys: Vec<_> = partition.unpersisted().cloned().collect();
                if keys.is_empty() {
                    continue;
                }
                let id = &partition.document.id;
                for key in &keys {
                    let document = key.document(&collection.namespace.id, id)?;
                    unpersisted.documents.push(document);
                }
                unpersisted.keys.push((*uuid, id.clone(), keys));
            }
        }
        Ok(unpersisted)
    }

    /// Notes that parked keys are persisted.
    pub(crate) fn persisted(&self, unpersisted: &UnpersistedKeys) {
        let mut inner = self.inner.lock();
        for (uuid, id, keys) in &unpersisted.keys {
            let collection = inner.collections.get_mut(uuid);
            if let Some(partition) = collection.and_then(|it| it.partition(id)) {
                partition.persisted(keys);
            }
        }
    }

    /// Notes that the indexes of a collection are built. Forgets nothing yet: later events may
    /// still be older than its documents.
    pub(crate) fn ready(&self, uuid: CollectionUuid) {
        if let Some(collection) = self.inner.lock().collections.get_mut(&uuid) {
            (collection.wants_indexes, collection.ready) = (false, true);
            collection.namespace.copy_state = CopyState::Ready;
        }
    }

    /// Queues the build of a collection's indexes again, since its record has changed.
    pub(crate) fn build_again(&self, uuid: CollectionUuid) {
        let mut inner = self.inner.lock();
        inner.queue.builds.push_back(uuid);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Notes that all partitions of a collection are done, and queues the build of its indexes.
    /// Returns its namespace.
    pub(crate) fn copied(&self, uuid: CollectionUuid) -> Option<NamespaceDocument> {
        let mut inner = self.inner.lock();
        let collection = inner.collections.get_mut(&uuid)?;
        collection.wants_indexes = true;
        let namespace = &mut collection.namespace;
        namespace.copy_state = CopyState::Copied;
        namespace.compare = false;
        let done = collection.partitions.iter().map(|it| &it.document);
        (namespace.documents, namespace.bytes) = done.fold((0, 0), |(documents, bytes), it| {
            (documents + it.documents, bytes + it.bytes)
        });
        let namespace = namespace.clone();
        if !collection.withdrawn {
            inner.queue.builds.push_back(uuid);
        }
        drop(inner);
        self.changed.notify_waiters();
        Some(namespace)
    }

    /// Forgets settled collections: every later event is newer than their documents. Events of one
    /// transaction share a time, so an event of the newest decided time may still come.
    pub(crate) fn retire(&self) {
        let mut inner = self.inner.lock();
        let decided = inner.decided;
        inner.collections.retain(|_, collection| {
            !collection.ready
                || collection.stays > 0
                || collection.settled_at().is_none_or(|at| at >= decided)
        });
    }

    /// The phase that the collections are in. Look-ups of parked keys are part of the copy.
    pub(crate) fn phase(&self) -> Phase {
        let inner = self.inner.lock();
        let collections = || inner.collections.values();
        if collections().any(|it| it.settled_at().is_none()) {
            Phase::CollectionCopy
        } else if collections().any(|it| !it.ready) {
            Phase::IndexBuild
        } else {
            Phase::ChangeEventApplication
        }
    }

    /// Whether nothing is to be copied, looked up or built.
    pub(crate) fn is_idle(&self) -> bool {
        let inner: &Inner = &self.inner.lock();
        let mut collections = inner.collections.values();
        collections.all(|it| it.ready && it.settled_at().is_some())
    }
}
