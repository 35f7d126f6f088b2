//! The live figures of a running sync: written by the work, read by `/progress`.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    model::{
        ClusterTime, Namespace,
        latency::LatencyHistogram,
        progress::{CollectionProgress, CopyProgress, IndexProgress},
    },
    mongo::Moment,
    observe::LatencyRecorder,
};

/// What the work is at, mongosync's words where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
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

impl Activity {
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
    activity: Mutex<Activity>,
    collections: Mutex<BTreeMap<Namespace, CollectionProgress>>,
    total_bytes: AtomicU64,
    copied_bytes: AtomicU64,
    copied_documents: AtomicU64,
    indexes_built: AtomicU64,
    indexes_total: AtomicU64,
    index_collections_finished: AtomicU64,
    index_collections_total: AtomicU64,
    events_applied: AtomicU64,
    events_shown: AtomicU64,
    /// Copied as the host before has persisted it.
    documents_before: AtomicU64,
    bytes_before: AtomicU64,
    quarantined: AtomicU64,
    safe: AtomicU64,
    reported: AtomicU64,
    moved: watch::Sender<Option<Moment>>,
    asked: Mutex<Option<Moment>>,
    apply_latency: LatencyRecorder,
}

/// A time that was stored; `None` while none has been.
fn stored(time: &AtomicU64) -> Option<ClusterTime> {
    let bits = time.load(Relaxed);
    (bits != 0).then(|| ClusterTime::from_bits(bits))
}

impl Status {
    pub fn activity(&self) -> Activity {
        *self.activity.lock()
    }

    pub fn set_activity(&self, activity: Activity) {
        let mut current = self.activity.lock();
        if *current != activity {
            tracing::info!(step = activity.info().unwrap_or("waiting"), "step");
        }
        *current = activity;
    }

    /// Shows what the host before has persisted, until the work has counted it anew.
    pub fn begin_at(&self, events: u64, documents: u64, bytes: u64) {
        self.events_applied.store(events, Relaxed);
        self.events_shown.store(events, Relaxed);
        self.documents_before.store(documents, Relaxed);
        self.bytes_before.store(bytes, Relaxed);
    }

    /// Clears what a run counts anew from what is persisted; what was shown stays until then.
    pub fn reset(&self) {
        let CopyProgress {
            copied_bytes,
            copied_documents,
            ..
        } = self.copy();
        self.bytes_before.store(copied_bytes, Relaxed);
        self.documents_before.store(copied_documents, Relaxed);
        // Those of indexes stay until they are planned anew: they do not go back to 0 between.
        for counter in [&self.copied_bytes, &self.copied_documents] {
            counter.store(0, Relaxed);
        }
        self.collections.lock().clear();
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
        let mut collections = self.collections.lock();
        collections.insert(progress.namespace.clone(), progress);
    }

    pub fn with_collection(
        &self,
        namespace: &Namespace,
        change: impl FnOnce(&mut CollectionProgress),
    ) {
        let mut collections = self.collections.lock();
        if let Some(collection) = collections.get_mut(namespace) {
            change(collection);
        }
    }

    pub fn remove_collection(&self, namespace: &Namespace) {
        self.collections.lock().remove(namespace);
    }

    pub fn collections(&self) -> Vec<CollectionProgress> {
        self.collections.lock().values().cloned().collect()
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

    /// The work has come further: something is applied, copied or restored.
    pub fn has_moved(&self) {
        self.moved.send_replace(Some(Moment::now()));
    }

    /// When the work has come further last; `None` before this host has done anything.
    pub fn moved(&self) -> watch::Receiver<Option<Moment>> {
        self.moved.subscribe()
    }

    /// The stream asks the source for events.
    pub fn source_is_asked(&self, at: Moment) {
        let mut asked = self.asked.lock();
        asked.get_or_insert(at);
    }

    /// The source has answered the stream, or is asked no longer.
    pub fn source_has_answered(&self) {
        *self.asked.lock() = None;
    }

    /// Since when the stream has waited for an answer of the source; `None` while it does not wait.
    /// A source that is there answers within half a second and a round trip.
    pub fn source_silent_since(&self) -> Option<Moment> {
        *self.asked.lock()
    }

    pub fn set_events_applied(&self, events: u64) {
        self.events_applied.store(events, Relaxed);
    }

    /// All of them, with those that are not persisted yet.
    pub fn events_applied(&self) -> u64 {
        self.events_applied.load(Relaxed)
    }

    /// What is persisted may be shown: no crash takes it back.
    pub fn show_events(&self, events: u64) {
        self.events_shown.store(events, Relaxed);
    }

    pub fn events_shown(&self) -> u64 {
        self.events_shown.load(Relaxed)
    }

    pub fn add_events_applied(&self, events: u64) {
        self.events_applied.fetch_add(events, Relaxed);
    }

    /// Counts a transaction of change events that the destination has committed, with its duration.
    pub fn record_apply_latency(&self, latency: Duration) {
        self.apply_latency.record(latency);
    }

    /// Durations of the transactions of change events, of this process.
    pub fn apply_latency(&self) -> LatencyHistogram {
        self.apply_latency.histogram()
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
            copied_bytes: Self::at_least(&self.copied_bytes, &self.bytes_before),
            copied_documents: Self::at_least(&self.copied_documents, &self.documents_before),
        }
    }

    fn at_least(counted: &AtomicU64, before: &AtomicU64) -> u64 {
        counted.load(Relaxed).max(before.load(Relaxed))
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
