//! The keys whose documents differ, until each is decided.
//!
//! Memory: keys of at most [`ROOM`] bytes. A worker that finds more waits.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{
    clusters::ClusterPair,
    collection::CollectionPair,
    ledger::{Ledger, PartitionId},
    lookup::{KeyLook, look},
    report::{Certainty, ReportEntry},
    watch::{KeyWatch, Verdict},
};
use crate::{
    model::{
        document_key::{DocumentKey, OwnedDocumentKey},
        key_order::RawKey,
        mismatch::{Mismatch, MismatchKind, MismatchSubject},
    },
    sync::{
        Error,
        comparison::{OwnedKey, first_difference},
        quarantine::id_document,
    },
};

/// Bytes of keys, each with its bookkeeping, that wait at most.
const ROOM: usize = 32 << 20;
/// Bytes of the bookkeeping of a key.
const KEY_BYTES: usize = 320;
/// Bytes of documents that a look aims at on each side, and the most keys and bytes of keys in it.
const LOOK_BYTES: u64 = 4 << 20;
const MAX_KEYS: usize = 1_000;
const MAX_ID_BYTES: usize = 8 << 20;
/// The longest wait without a key that is due.
const IDLE: Duration = Duration::from_secs(1);

/// A key that is looked at again.
struct PendingKey {
    collection: Arc<CollectionPair>,
    partition: PartitionId,
    key: OwnedKey,
    watch: KeyWatch,
    due: Instant,
    _room: OwnedSemaphorePermit,
}

/// The keys that are looked at again.
pub(super) struct Settlement {
    keys: Mutex<HashMap<(Arc<str>, OwnedDocumentKey), PendingKey>>,
    room: Arc<Semaphore>,
    changed: Notify,
    is_closed: AtomicBool,
}

impl Settlement {
    /// A settlement without keys.
    pub(super) fn new() -> Self {
        Self {
            keys: Mutex::default(),
            room: Arc::new(Semaphore::new(ROOM)),
            changed: Notify::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Adds a key, after waiting for room.
    pub(super) async fn add(
        &self,
        ledger: &Ledger,
        collection: &Arc<CollectionPair>,
        (partition, key): (&PartitionId, OwnedKey),
    ) -> Result<(), Error> {
        let bytes = (key.1.len() * 2 + KEY_BYTES).min(ROOM);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().acquire_many_owned(bytes).await else {
            return Err(Error::Cancelled);
        };
        let now = Instant::now();
        let pending = PendingKey {
            collection: collection.clone(),
            partition: partition.clone(),
            watch: KeyWatch::new(now),
            due: now,
            key,
            _room: room,
        };
        let name = (collection.id.clone(), pending.document_key());
        let mut keys = self.keys.lock();
        if keys.contains_key(&name) {
            return Ok(());
        }
        ledger.pend(partition);
        keys.insert(name, pending);
        self.changed.notify_one();
        Ok(())
    }

    /// Notes that no key will be added any more.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Looks at the keys until each is decided, and none will be added.
    pub(super) async fn run(&self, pair: &ClusterPair, ledger: &Ledger) -> Result<(), Error> {
        loop {
            if ledger.is_cut_short() {
                // Workers that wait for room go on, and end.
                self.room.close();
                self.keys.lock().clear();
                return Ok(());
            }
            let (due, next) = self.take_due(Instant::now());
            if due.is_empty() {
                if next.is_none() && self.is_closed.load(Ordering::Acquire) {
                    return Ok(());
                }
                let next = next.unwrap_or_else(|| Instant::now() + IDLE);
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(next) => {}
                }
                continue;
            }
            for (_, keys) in due {
                self.look_at(pair, ledger, keys).await?;
            }
        }
    }

    /// The keys that are due by collection, and the time of the next of the others.
    fn take_due(&self, now: Instant) -> (HashMap<Arc<str>, Vec<PendingKey>>, Option<Instant>) {
        let mut due: HashMap<Arc<str>, Vec<PendingKey>> = HashMap::new();
        let mut keys = self.keys.lock();
        for ((collection, _), pending) in keys.extract_if(|_, pending| pending.due <= now) {
            due.entry(collection).or_default().push(pending);
        }
        (due, keys.values().map(|pending| pending.due).min())
    }

    /// Looks at keys of one collection.
    async fn look_at(
        &self,
        pair: &ClusterPair,
        ledger: &Ledger,
        mut keys: Vec<PendingKey>,
    ) -> Result<(), Error> {
        while !keys.is_empty() && !ledger.is_cut_short() {
            let times = pair.times().await?;
            let mut count = fitting(&keys);
            let looks = loop {
                let ids: Vec<RawKey<'_>> = keys.iter().take(count).map(PendingKey::id).collect();
                let Some(first) = keys.first() else {
                    return Ok(());
                };
                match look(pair, &first.collection, &ids, times).await? {
                    Some(looks) => break looks,
                    None => count = (count / 2).max(1),
                }
            };
            for (pending, look) in keys.drain(..count.min(keys.len())).zip(looks) {
                self.decide(pair, ledger, pending, look)?;
            }
        }
        Ok(())
    }

    fn decide(
        &self,
        pair: &ClusterPair,
        ledger: &Ledger,
        mut pending: PendingKey,
        look: KeyLook,
    ) -> Result<(), Error> {
        let digest =
            |document: &Option<Vec<u8>>| document.as_ref().map(|it| Sha256::digest(it).into());
        let digests = (digest(&look.source), digest(&look.destination));
        let times = (pair.options.settle, pair.options.patience);
        let verdict = match look.is_quarantined {
            true => Verdict::Mismatch,
            false => pending.watch.look(digests, Instant::now(), times),
        };
        let certainty = match verdict {
            Verdict::Again(due) => {
                pending.due = due;
                let name = (pending.collection.id.clone(), pending.document_key());
                self.keys.lock().insert(name, pending);
                return Ok(());
            }
            Verdict::Agreement => None,
            Verdict::Mismatch if look.is_quarantined => Some(Certainty::Quarantined),
            Verdict::Mismatch => Some(Certainty::Settled),
            Verdict::Unsettled => Some(Certainty::Unsettled),
        };
        let finding = match certainty {
            Some(certainty) if !pending.is_left_out(pair, &look) => {
                let key = DocumentKey::new(pending.key.0, &pending.key.1).to_bytes();
                Some((key, pending.finding(pair, look, certainty)?))
            }
            _ => None,
        };
        ledger.resolve(&pending.partition, finding);
        Ok(())
    }
}

/// The number of `keys` for the next look; at least 1.
fn fitting(keys: &[PendingKey]) -> usize {
    let average = keys
        .first()
        .map_or(1, |pending| pending.collection.average_bytes);
    let most = usize::try_from(LOOK_BYTES / average)
        .unwrap_or(MAX_KEYS)
        .clamp(1, MAX_KEYS);
    let mut bytes = 0;
    let fitting = keys.iter().take(most).take_while(|pending| {
        bytes += pending.key.1.len();
        bytes <= MAX_ID_BYTES
    });
    fitting.count().max(1)
}

impl PendingKey {
    fn id(&self) -> RawKey<'_> {
        (self.key.0, &self.key.1)
    }

    fn document_key(&self) -> OwnedDocumentKey {
        DocumentKey::new(self.key.0, &self.key.1).into_owned()
    }

    /// Whether the difference is a sync's own until commit: a capped collection is large on the destination, and keeps
    /// documents that the source has overwritten.
    fn is_left_out(&self, pair: &ClusterPair, look: &KeyLook) -> bool {
        pair.options.before_commit && self.collection.is_capped && look.source.is_none()
    }

    fn finding(
        &self,
        pair: &ClusterPair,
        look: KeyLook,
        certainty: Certainty,
    ) -> Result<ReportEntry, Error> {
        let (kind, path) = match (&look.source, &look.destination) {
            (Some(source), Some(destination)) => (
                MismatchKind::Differs,
                first_difference(source, destination)?,
            ),
            (None, Some(_)) if !look.is_quarantined => (MismatchKind::Extra, None),
            _ => (MismatchKind::Missing, None),
        };
        let mismatch = Mismatch {
            source: self.collection.source.namespace.shown(),
            destination: self.collection.destination.namespace.shown(),
            subject: MismatchSubject::Document(id_document(self.key.0, &self.key.1)?),
            kind,
            path,
        };
        let documents = (look.source, look.destination);
        Ok(ReportEntry {
            mismatch,
            certainty,
            documents: pair.options.show_documents.then(|| Box::new(documents)),
        })
    }
}
