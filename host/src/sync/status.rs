//! Live figures of a running sync: the work writes them, `/progress` reads them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    collection_status::CollectionStatus, principals_status::PrincipalsStatus,
    throttle_status::ThrottleStatus, verification_status::VerificationFigures,
    write_block_status::WriteBlockStatus,
};
use crate::{
    model::{
        ClusterTime, Namespace,
        latency::LatencyHistogram,
        progress::{ComparisonProgress, CopyProgress, IndexProgress},
    },
    mongo::Moment,
    observe::LatencyRecorder,
};

/// The current activity of the work, in mongosync's words where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// No work has begun in this process.
    #[default]
    Waiting,
    /// Work begins: until the copy, the index build or the change stream begins.
    Initializing,
    /// Copies collections, before the change stream.
    CollectionCopy,
    /// Builds indexes, before the change stream.
    IndexBuild,
    /// Applies change events.
    ChangeEventApplication,
    /// Copies collections again after a swap with other answers.
    Recopy,
    /// Brings the destination's catalog to the source's, after the position was lost.
    Resync,
    /// Waits for the write block of the source, before the commit time is taken.
    BlockingSource,
    /// Applies change events up to the commit time.
    WaitingForCommit,
    /// Compares the results of unguarded commands, after the last event.
    Settling,
    /// Restores unique, TTL, hidden and capped settings, after the last event.
    Restoring,
    /// Looks for writes on the source that the commit does not have.
    LateWrites,
    /// Lifts the write block of the destination.
    Unblocking,
    /// Commit is finished.
    Committed,
}

impl Activity {
    /// Whether collections are copied or compared after the first copy.
    pub(super) fn is_recopy(self) -> bool {
        matches!(self, Self::Recopy | Self::Resync | Self::IndexBuild)
    }

    /// The sub-step of `/progress`, in mongosync's words; `None` before any work.
    pub fn info(self) -> Option<&'static str> {
        match self {
            Self::Waiting => None,
            Self::Initializing => Some("initializing collections and indexes"),
            Self::CollectionCopy => Some("collection copy"),
            Self::IndexBuild => Some("index building"),
            Self::ChangeEventApplication => Some("change event application"),
            Self::Recopy => Some("copying collections again"),
            Self::Resync => Some("resync: comparing collections"),
            Self::BlockingSource => Some("blocking writes on the source"),
            Self::WaitingForCommit => Some("waiting for commit to complete"),
            Self::Settling => Some("comparing results of unguarded commands"),
            Self::Restoring => Some("restoring unique, TTL, hidden and capped settings"),
            Self::LateWrites => Some("looking for late writes on the source"),
            Self::Unblocking => Some("lifting the write block of the destination"),
            Self::Committed => Some("commit completed"),
        }
    }
}

/// The live figures of a sync. Counters are relaxed atomics: figures are not consistent with each
/// other.
#[derive(Debug, Default)]
pub struct Status {
    activity: Mutex<Activity>,
    total_bytes: AtomicU64,
    copied_bytes: AtomicU64,
    copied_documents: AtomicU64,
    compared_documents: AtomicU64,
    compared_bytes: AtomicU64,
    differences: AtomicU64,
    indexes_built: AtomicU64,
    indexes_total: AtomicU64,
    index_collections_finished: AtomicU64,
    index_collections_total: AtomicU64,
    events_applied: AtomicU64,
    events_shown: AtomicU64,
    oversize_events: AtomicU64,
    /// Copied documents, as the previous host has persisted them.
    documents_before: AtomicU64,
    bytes_before: AtomicU64,
    quarantined: AtomicU64,
    safe: AtomicU64,
    reported: AtomicU64,
    moved: watch::Sender<Option<Moment>>,
    asked: Mutex<Option<Moment>>,
    apply_latency: LatencyRecorder,
    copy_latency: LatencyRecorder,
    /// The figures of the collections.
    pub collections: CollectionStatus,
    /// The delays for the clusters.
    pub throttle: ThrottleStatus,
    /// The write blocks.
    pub write_blocks: WriteBlockStatus,
    /// The transfer of users and roles.
    pub principals: PrincipalsStatus,
    /// The figures of the verification.
    pub verification: Arc<VerificationFigures>,
}

/// A stored time; `None` if there is none.
fn stored(time: &AtomicU64) -> Option<ClusterTime> {
    let bits = time.load(Relaxed);
    (bits != 0).then(|| ClusterTime::from_bits(bits))
}

impl Status {
    /// The current activity.
    pub fn activity(&self) -> Activity {
        *self.activity.lock()
    }

    /// Sets the current activity, and logs a change.
    pub fn set_activity(&self, activity: Activity) {
        let mut current = self.activity.lock();
        if *current != activity {
            tracing::info!(step = activity.info().unwrap_or("waiting"), "step");
        }
        *current = activity;
    }

    /// Shows the persisted figures of the previous host, until the work has counted again.
    pub fn begin_at(&self, events: u64, documents: u64, bytes: u64) {
        self.events_applied.store(events, Relaxed);
        self.events_shown.store(events, Relaxed);
        self.documents_before.store(documents, Relaxed);
        self.bytes_before.store(bytes, Relaxed);
    }

    /// Clears the figures that a run counts again from persisted state. The shown figures stay
    /// until then.
    pub fn reset(&self) {
        let CopyProgress {
            copied_bytes,
            copied_documents,
            ..
        } = self.copy();
        self.bytes_before.store(copied_bytes, Relaxed);
        self.documents_before.store(copied_documents, Relaxed);
        // The figures of indexes stay until they are planned again, so they do not drop to 0 in
        // between.
        for counter in [&self.copied_bytes, &self.copied_documents] {
            counter.store(0, Relaxed);
        }
        self.collections.clear();
    }

    /// Sets the bytes of documents to copy.
    pub fn set_total_bytes(&self, bytes: u64) {
        self.total_bytes.store(bytes, Relaxed);
    }

    /// Counts copied documents of a collection, and their bytes.
    pub fn copied(&self, namespace: &Namespace, documents: u64, bytes: u64) {
        self.copied_bytes.fetch_add(bytes, Relaxed);
        self.copied_documents.fetch_add(documents, Relaxed);
        self.collections.change(namespace, |collection| {
            collection.documents += documents;
            collection.bytes += bytes;
        });
        self.collections.written(namespace, documents);
    }

    /// Takes back the counts of a collection, whose documents are read again. The shown totals stay.
    pub fn count_again(&self, namespace: &Namespace) {
        let shown = self.copy();
        self.bytes_before.store(shown.copied_bytes, Relaxed);
        self.documents_before.store(shown.copied_documents, Relaxed);
        self.collections.change(namespace, |collection| {
            self.copied_bytes.fetch_sub(collection.bytes, Relaxed);
            self.copied_documents
                .fetch_sub(collection.documents, Relaxed);
            (collection.documents, collection.bytes) = (0, 0);
        });
    }

    /// Counts documents of the source that were compared, their bytes, and the documents that differ.
    pub fn compared(&self, documents: u64, bytes: u64, differences: u64) {
        self.compared_documents.fetch_add(documents, Relaxed);
        self.compared_bytes.fetch_add(bytes, Relaxed);
        self.differences.fetch_add(differences, Relaxed);
    }

    /// The progress of comparisons, of this process.
    pub fn comparison(&self) -> ComparisonProgress {
        ComparisonProgress {
            documents: self.compared_documents.load(Relaxed),
            bytes: self.compared_bytes.load(Relaxed),
            differences: self.differences.load(Relaxed),
        }
    }

    /// Starts the count of indexes.
    pub fn plan_indexes(&self, collections: u64, indexes: u64) {
        self.indexes_built.store(0, Relaxed);
        self.index_collections_finished.store(0, Relaxed);
        self.index_collections_total.store(collections, Relaxed);
        self.indexes_total.store(indexes, Relaxed);
    }

    /// Counts a collection whose `indexes` indexes are built.
    pub fn indexes_built(&self, indexes: u64) {
        self.indexes_built.fetch_add(indexes, Relaxed);
        self.index_collections_finished.fetch_add(1, Relaxed);
    }

    /// Notes progress: something was applied, copied or restored.
    pub fn has_moved(&self) {
        self.moved.send_replace(Some(Moment::now()));
    }

    /// The time of the last progress; `None` before the first progress of this host.
    pub fn moved(&self) -> watch::Receiver<Option<Moment>> {
        self.moved.subscribe()
    }

    /// Notes that the stream asks the source for events.
    pub fn source_is_asked(&self, at: Moment) {
        let mut asked = self.asked.lock();
        asked.get_or_insert(at);
    }

    /// Notes that the source has answered the stream, or is not asked any more.
    pub fn source_has_answered(&self) {
        *self.asked.lock() = None;
    }

    /// The time since which the stream has waited for an answer of the source; `None` while it does
    /// not wait. A healthy source answers within half a second and a round trip.
    pub fn source_silent_since(&self) -> Option<Moment> {
        *self.asked.lock()
    }

    /// Sets the number of applied events.
    pub fn set_events_applied(&self, events: u64) {
        self.events_applied.store(events, Relaxed);
    }

    /// All applied events, including those that are not persisted yet.
    pub fn events_applied(&self) -> u64 {
        self.events_applied.load(Relaxed)
    }

    /// Sets the shown number of events. Only a persisted number is shown, so no crash takes it
    /// back.
    pub fn show_events(&self, events: u64) {
        self.events_shown.store(events, Relaxed);
    }

    /// The number of applied events to show.
    pub fn events_shown(&self) -> u64 {
        self.events_shown.load(Relaxed)
    }

    /// Counts applied events.
    pub fn add_events_applied(&self, events: u64) {
        self.events_applied.fetch_add(events, Relaxed);
    }

    /// Counts change events that came without their documents.
    pub fn add_oversize_events(&self, events: u64) {
        self.oversize_events.fetch_add(events, Relaxed);
    }

    /// Change events that came without their documents, of this process.
    pub fn oversize_events(&self) -> u64 {
        self.oversize_events.load(Relaxed)
    }

    /// Counts a transaction of change events that the destination has committed, with its duration.
    pub fn record_apply_latency(&self, latency: Duration) {
        self.apply_latency.record(latency);
    }

    /// Durations of the transactions of change events, of this process.
    pub fn apply_latency(&self) -> LatencyHistogram {
        self.apply_latency.histogram()
    }

    /// Counts a batch of the copy that is inserted, with its duration.
    pub fn record_copy_latency(&self, latency: Duration) {
        self.copy_latency.record(latency);
    }

    /// Durations of the batches of the copy, of this process.
    pub fn copy_latency(&self) -> LatencyHistogram {
        self.copy_latency.histogram()
    }

    /// Sets the number of documents that are in quarantine.
    pub fn set_quarantined(&self, documents: u64) {
        self.quarantined.store(documents, Relaxed);
    }

    /// The number of documents in quarantine.
    pub fn quarantined(&self) -> u64 {
        self.quarantined.load(Relaxed)
    }

    /// Sets the time of the persisted position.
    pub fn set_safe(&self, time: ClusterTime) {
        self.safe.store(time.to_bits(), Relaxed);
    }

    /// Sets the time up to which events are applied.
    pub fn set_reported(&self, time: ClusterTime) {
        self.reported.store(time.to_bits(), Relaxed);
    }

    /// The time of the persisted position; `None` before the first.
    pub fn safe(&self) -> Option<ClusterTime> {
        stored(&self.safe)
    }

    /// The time up to which events are applied; `None` before the first.
    pub fn reported(&self) -> Option<ClusterTime> {
        stored(&self.reported)
    }

    /// The progress of the copy, never less than the previous host has persisted.
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

    /// The progress of index builds.
    pub fn indexes(&self) -> IndexProgress {
        IndexProgress {
            built: self.indexes_built.load(Relaxed),
            total: self.indexes_total.load(Relaxed),
            collections_finished: self.index_collections_finished.load(Relaxed),
            collections_total: self.index_collections_total.load(Relaxed),
        }
    }
}
