//! The verification of a sync: both clusters are compared byte for byte while the stream goes on.
//!
//! A *boundary of the verification* is a gap between two cluster times of the stream: all events
//! before it are applied, no later event is, and no document on the destination is ahead of it. So
//! the source at the boundary's time, as its plugins leave it, is exactly the destination at its own
//! time then. A *slice* compares the two snapshots while the stream goes on: first the documents that
//! have changed since the last slice, then collections in the order of their `_id`s, for some seconds.
//!
//! Invariants:
//! - Each document is compared at a boundary, or it was compared at an earlier boundary and nothing has
//!   written it since. Events and writes of other clients make their keys *dirty*; a dirty key is
//!   compared in the next slice.
//! - The persisted state has a position of the stream. What was verified then and has become dirty
//!   later, an event after that position tells. So a host that takes over reads these events once more.
//!
//! Capped collections have no snapshots; they are compared before commit (`copy::comparison`).

mod boundary;
mod dirty_keys;
mod finish;
mod foreign_writes;
mod items;
mod mismatches;
mod missing_collections;
mod progress;
mod scan;
mod side_reader;
mod slice;
mod verifier;

pub(crate) use boundary::{SyncedCollection, VerificationBoundary};
pub(crate) use dirty_keys::DirtyKeys;
pub(crate) use finish::finish;
pub use items::VerifyWork;
pub(crate) use verifier::{Recovery, Verifier};

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{Error, items::ItemHolders, verification_status::VerificationFigures};
use crate::{
    metadata,
    model::{ClusterTime, ErrorKind, event::CollectionUuid, options::VerificationOptions},
    mongo::{self, Client, Destination, code},
};

/// Answers of a server on which the collection has another name, or none.
const MOVED: [i32; 2] = [code::NAMESPACE_NOT_FOUND, code::COLLECTION_UUID_MISMATCH];

/// The state that the event loop and the verifier share.
#[derive(Debug)]
pub(crate) struct Verification {
    /// The options of the start.
    pub(crate) options: VerificationOptions,
    /// For `/progress`.
    pub(crate) figures: Arc<VerificationFigures>,
    dirty: Mutex<DirtyKeys>,
    /// The verifier waits for a boundary.
    wanted: Mutex<Option<oneshot::Sender<VerificationBoundary>>>,
    /// Held while the verifier writes. True once it must not write any more.
    persisting: tokio::sync::Mutex<bool>,
    /// Commit waits for the last boundary.
    closing: AtomicBool,
    /// All collections were verified at the last slice.
    complete: AtomicBool,
    /// All collections are to be verified again.
    restart: AtomicBool,
    /// All mismatches are to be repaired.
    repair: AtomicBool,
    /// Wakes the verifier.
    hurry: Notify,
    /// Wakes the event loop.
    asked: Notify,
    /// The outcome of the present slice does not count.
    interrupted: AtomicBool,
    /// The last boundary, taken for commit.
    last: Mutex<Option<VerificationBoundary>>,
    /// Mismatches that the event loop is asked to repair.
    repairs: Mutex<Vec<metadata::MismatchDocument>>,
}

/// The clusters and the metadata, as the verifier uses them.
#[derive(Clone)]
pub(crate) struct VerifiedClusters {
    /// The cluster that is read.
    pub(crate) source: Client,
    /// The cluster that is written, for reads.
    pub(crate) destination: Client,
    /// The metadata.
    pub(crate) store: metadata::Store,
    /// Other hosts, which compare a part of the collections.
    pub(crate) holders: Arc<ItemHolders>,
}

impl VerifiedClusters {
    /// The clusters of a sync.
    pub(crate) fn new(
        source: &Client,
        destination: &Destination,
        store: &metadata::Store,
        holders: &Arc<ItemHolders>,
    ) -> Self {
        Self {
            source: source.clone(),
            destination: destination.reads(),
            store: store.clone(),
            holders: holders.clone(),
        }
    }
}

impl Verification {
    /// The verification of a sync whose work begins.
    pub(crate) fn new(options: VerificationOptions, figures: Arc<VerificationFigures>) -> Self {
        Self {
            options,
            figures,
            dirty: Mutex::default(),
            wanted: Mutex::default(),
            persisting: tokio::sync::Mutex::default(),
            closing: AtomicBool::default(),
            complete: AtomicBool::default(),
            restart: AtomicBool::default(),
            repair: AtomicBool::default(),
            hurry: Notify::default(),
            asked: Notify::default(),
            interrupted: AtomicBool::default(),
            last: Mutex::default(),
            repairs: Mutex::default(),
        }
    }

    /// Forgets everything that an earlier verifier of this process has left.
    pub(crate) async fn begin(&self) {
        *self.persisting.lock().await = false;
        *self.dirty.lock() = DirtyKeys::default();
        *self.wanted.lock() = None;
        *self.last.lock() = None;
        self.repairs.lock().clear();
        self.complete.store(false, SeqCst);
        self.closing.store(false, SeqCst);
        self.interrupted.store(false, SeqCst);
    }

    /// Calls `note` with the dirty keys, in one critical section, if documents are verified.
    pub(crate) fn note(&self, note: impl FnOnce(&mut DirtyKeys)) {
        if self.options.enabled {
            note(&mut self.dirty.lock());
        }
    }

    /// Makes collections unverified, whose documents are copied or compared from now on. On return no slice
    /// persists them as verified.
    pub(crate) async fn forget(&self, collections: &[CollectionUuid]) {
        let _persisting = self.persisting.lock().await;
        self.dirty.lock().forget(collections);
    }

    /// Whether the verifier waits for a boundary.
    pub(crate) fn wants_boundary(&self) -> bool {
        let wanted = self.wanted.lock();
        wanted.as_ref().is_some_and(|wanted| !wanted.is_closed())
    }

    /// Takes the dirty keys, at a boundary.
    pub(crate) fn take_dirty(&self) -> DirtyKeys {
        std::mem::take(&mut *self.dirty.lock())
    }

    /// Completes when the verifier has asked for a boundary or a repair.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Discards the present slice: documents may have other forms from now on.
    pub(crate) async fn interrupt(&self) {
        let _persisting = self.persisting.lock().await;
        self.interrupted.store(true, SeqCst);
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }

    /// Gives the verifier its boundary.
    pub(crate) fn meet(&self, boundary: VerificationBoundary) {
        self.interrupted.store(false, SeqCst);
        if let Some(wanted) = self.wanted.lock().take()
            && let Err(boundary) = wanted.send(boundary)
        {
            self.give_back(boundary.dirty);
        }
    }

    /// Puts keys back that were not compared.
    fn give_back(&self, keys: DirtyKeys) {
        self.dirty.lock().merge(keys);
    }

    /// Waits for the next boundary; `None` if the work ends.
    async fn next_boundary(&self) -> Option<VerificationBoundary> {
        let (wanted, boundary) = oneshot::channel();
        *self.wanted.lock() = Some(wanted);
        self.asked.notify_one();
        boundary.await.ok()
    }

    /// Notes that commit waits for the last boundary.
    pub(crate) fn close(&self) {
        if !self.closing.swap(true, SeqCst) {
            // What was complete before may be verified again for the commit.
            self.complete.store(false, SeqCst);
            self.hurry.notify_one();
        }
    }

    /// Writes of the verifier, one at a time, and none after [`Self::stop`].
    ///
    /// # Errors
    /// `Cancelled` after a stop.
    async fn persist(
        &self,
        write: impl Future<Output = Result<(), mongo::Error>>,
    ) -> Result<(), Error> {
        let stopped = self.persisting.lock().await;
        if *stopped {
            return Err(Error::Cancelled);
        }
        if self.is_interrupted() {
            return Err(mongo::Error::Stale.into());
        }
        Ok(write.await?)
    }

    /// Lets [`finish()`] write, after the verifier has stopped.
    async fn reopen(&self) {
        *self.persisting.lock().await = false;
        self.interrupted.store(false, SeqCst);
    }

    /// Waits for a write of the verifier, and lets no later one begin.
    pub(crate) async fn stop(&self) {
        *self.persisting.lock().await = true;
    }

    fn is_closing(&self) -> bool {
        self.closing.load(SeqCst)
    }

    /// Whether the last boundary can be taken: little is left to compare.
    pub(crate) fn wants_last_boundary(&self) -> bool {
        self.is_closing() && self.complete.load(SeqCst)
    }

    /// Keeps the last boundary for [`finish()`].
    pub(crate) fn keep_last(&self, boundary: VerificationBoundary) {
        *self.last.lock() = Some(boundary);
    }

    /// Whether commit has the boundary that it waits for.
    pub(crate) fn has_last_boundary(&self) -> bool {
        self.last.lock().is_some()
    }

    /// Verifies all collections again.
    pub(crate) fn restart(&self) {
        self.restart.store(true, SeqCst);
        self.complete.store(false, SeqCst);
        self.hurry.notify_one();
    }

    /// The mismatches to repair, which the event loop takes.
    pub(crate) fn take_repairs(&self) -> Vec<metadata::MismatchDocument> {
        std::mem::take(&mut *self.repairs.lock())
    }

    /// Asks for a repair of all mismatches.
    pub(crate) fn repair(&self) {
        self.repair.store(true, SeqCst);
        self.hurry.notify_one();
    }

    fn takes_repair(&self) -> bool {
        self.repair.swap(false, SeqCst)
    }

    fn takes_restart(&self) -> bool {
        self.restart.swap(false, SeqCst)
    }

    fn set_complete(&self, complete: bool) {
        let complete = complete && !self.restart.load(SeqCst);
        self.complete.store(complete, SeqCst);
        self.asked.notify_one();
    }

    /// Completes when the next slice should not wait.
    async fn hurried(&self) {
        self.hurry.notified().await;
    }

    fn ask_repairs(&self, mismatches: Vec<metadata::MismatchDocument>) {
        *self.repairs.lock() = mismatches;
        self.asked.notify_one();
    }
}

/// A time before `gap`, which is a time of an event or a position: every event before the gap is at or before it.
pub(crate) fn before(gap: ClusterTime) -> ClusterTime {
    ClusterTime::from_bits(gap.to_bits().saturating_sub(1))
}

/// Whether a read fails only now: the server has no snapshot of that time, or the collection has moved.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Mongo(error) => {
            error.kind() == ErrorKind::Transient || MOVED.iter().any(|code| error.has_code(*code))
        }
        _ => false,
    }
}
