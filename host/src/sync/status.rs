//! The live figures of a running sync: written by the work, read by `/progress`.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{
    ClusterTime, Namespace,
    progress::{CollectionProgress, CopyProgress, IndexProgress},
};

/// What the work is at, mongosync's words where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    #[default]
    Waiting,
    Initializing,
    CollectionCopy,
    IndexBuild,
    ChangeEventApplication,
    /// Of collections whose documents a swapped component would answer otherwise.
    Recopy,
    WaitingForCommit,
    Restoring,
    Committed,
}

impl Step {
    pub fn info(self) -> Option<&'static str> {
        match self {
            Self::Waiting => None,
            Self::Initializing => Some("initializing collections and indexes"),
            Self::CollectionCopy => Some("collection copy"),
            Self::IndexBuild => Some("index building"),
            Self::ChangeEventApplication => Some("change event application"),
            Self::Recopy => Some("copying collections again"),
            Self::WaitingForCommit => Some("waiting for commit to complete"),
            Self::Restoring => Some("restoring unique, TTL, hidden and capped settings"),
            Self::Committed => Some("commit completed"),
        }
    }
}

#[derive(Debug, Default)]
pub struct Status {
    step: Mutex<Step>,
    collections: Mutex<BTreeMap<Namespace, CollectionProgress>>,
    total_bytes: AtomicU64,
    copied_bytes: AtomicU64,
    copied_documents: AtomicU64,
    indexes_built: AtomicU64,
    indexes_total: AtomicU64,
    index_collections_finished: AtomicU64,
    index_collections_total: AtomicU64,
    events_applied: AtomicU64,
    quarantined: AtomicU64,
    safe: AtomicU64,
    reported: AtomicU64,
}

/// A time that was stored; `None` while none has been.
fn stored(time: &AtomicU64) -> Option<ClusterTime> {
    let bits = time.load(Relaxed);
    (bits != 0).then(|| ClusterTime::from_bits(bits))
}

impl Status {
    pub fn step(&self) -> Step {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_step(&self, step: Step) {
        let mut current = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != step {
            tracing::info!(step = step.info().unwrap_or("waiting"), "step");
        }
        *current = step;
    }

    /// Clears what a run counts anew from what is persisted.
    pub fn reset(&self) {
        for counter in [
            &self.copied_bytes,
            &self.copied_documents,
            &self.indexes_built,
            &self.indexes_total,
            &self.index_collections_finished,
            &self.index_collections_total,
        ] {
            counter.store(0, Relaxed);
        }
        self.collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub fn set_total_bytes(&self, bytes: u64) {
        self.total_bytes.store(bytes, Relaxed);
    }

    pub fn copied(&self, namespace: &Namespace, documents: u64, bytes: u64) {
        self.copied_bytes.fetch_add(bytes, Relaxed);
        self.copied_documents.fetch_add(documents, Relaxed);
        self.with_collection(namespace, |collection| {
            collection.documents += documents;
            collection.bytes += bytes;
        });
    }

    pub fn set_collection(&self, progress: CollectionProgress) {
        let mut collections = self
            .collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        collections.insert(progress.namespace.clone(), progress);
    }

    pub fn with_collection(
        &self,
        namespace: &Namespace,
        change: impl FnOnce(&mut CollectionProgress),
    ) {
        let mut collections = self
            .collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = collections.get_mut(namespace) {
            change(collection);
        }
    }

    pub fn remove_collection(&self, namespace: &Namespace) {
        self.collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
    }

    pub fn collections(&self) -> Vec<CollectionProgress> {
        self.collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Begins to count anew.
    pub fn plan_indexes(&self, collections: u64, indexes: u64) {
        self.indexes_built.store(0, Relaxed);
        self.index_collections_finished.store(0, Relaxed);
        self.index_collections_total.store(collections, Relaxed);
        self.indexes_total.store(indexes, Relaxed);
    }

    pub fn indexes_built(&self, indexes: u64) {
        self.indexes_built.fetch_add(indexes, Relaxed);
        self.index_collections_finished.fetch_add(1, Relaxed);
    }

    pub fn set_events_applied(&self, events: u64) {
        self.events_applied.store(events, Relaxed);
    }

    pub fn events_applied(&self) -> u64 {
        self.events_applied.load(Relaxed)
    }

    pub fn add_events_applied(&self, events: u64) {
        self.events_applied.fetch_add(events, Relaxed);
    }

    /// Documents that are in quarantine now.
    pub fn set_quarantined(&self, documents: u64) {
        self.quarantined.store(documents, Relaxed);
    }

    pub fn quarantined(&self) -> u64 {
        self.quarantined.load(Relaxed)
    }

    pub fn set_safe(&self, time: ClusterTime) {
        self.safe.store(time.to_bits(), Relaxed);
    }

    pub fn set_reported(&self, time: ClusterTime) {
        self.reported.store(time.to_bits(), Relaxed);
    }

    pub fn safe(&self) -> Option<ClusterTime> {
        stored(&self.safe)
    }

    pub fn reported(&self) -> Option<ClusterTime> {
        stored(&self.reported)
    }

    pub fn copy(&self) -> CopyProgress {
        CopyProgress {
            total_bytes: self.total_bytes.load(Relaxed).max(1),
            copied_bytes: self.copied_bytes.load(Relaxed),
            copied_documents: self.copied_documents.load(Relaxed),
        }
    }

    pub fn indexes(&self) -> IndexProgress {
        IndexProgress {
            built: self.indexes_built.load(Relaxed),
            total: self.indexes_total.load(Relaxed),
            collections_finished: self.index_collections_finished.load(Relaxed),
            collections_total: self.index_collections_total.load(Relaxed),
        }
    }
}
