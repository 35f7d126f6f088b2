//! One partition in memory.

use std::collections::HashMap;

use super::ParkedKey;
use crate::{
    metadata::PartitionDocument,
    model::{
        ClusterTime,
        document_key::{DocumentKey, OwnedDocumentKey},
    },
};

/// Parked keys of a partition in memory, persisted and not.
const MAX_IN_MEMORY: usize = 50_000;

/// The state of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionState {
    /// Not read yet.
    Unseen,
    /// Read at or after this time.
    InWork(ClusterTime),
    /// Its documents are of no later time.
    Done(ClusterTime),
}

/// A partition, its state, and the keys that wait for it.
#[derive(Debug)]
pub(crate) struct Partition {
    /// As it is persisted, but for the state.
    pub(crate) document: PartitionDocument,
    /// The state, which may be ahead of the persisted state.
    pub(crate) state: PartitionState,
    /// Keys whose events have been parked and not been looked up.
    parked: HashMap<OwnedDocumentKey, ParkedEntry>,
    /// Parked keys that are not persisted.
    unpersisted: usize,
    /// Whether there are persisted parked keys that are not in memory.
    pub(super) has_stored_keys: bool,
    /// Whether a worker has it.
    pub(super) taken: bool,
}

#[derive(Debug)]
struct ParkedEntry {
    key: ParkedKey,
    persisted: bool,
}

impl Partition {
    /// A partition as it was persisted. `start_time`: T0 of partitions of earlier releases.
    pub(super) fn new(document: PartitionDocument, start_time: ClusterTime) -> Self {
        // Earlier releases clear `begun` when work stops.
        let was_begun = !document.compare && (document.suspect || document.last_id.is_some());
        let state = match (document.done, document.begun || was_begun) {
            (true, _) => PartitionState::Done(document.done_at.unwrap_or_default()),
            (false, true) => PartitionState::InWork(document.begun_at.unwrap_or(start_time)),
            (false, false) => PartitionState::Unseen,
        };
        Self {
            document,
            state,
            parked: HashMap::new(),
            unpersisted: 0,
            has_stored_keys: false,
            taken: false,
        }
    }

    /// The upper part of a split partition.
    pub(super) fn in_work(document: PartitionDocument, since: ClusterTime) -> Self {
        Self {
            state: PartitionState::InWork(since),
            taken: true,
            ..Self::new(document, since)
        }
    }

    /// Parks a key, at the place of its first event.
    pub(super) fn park(&mut self, key: ParkedKey) {
        let owned = DocumentKey::new(key.id_kind, &key.id).into_owned();
        let entry = self.parked.entry(owned);
        entry
            .and_modify(|known| known.key.time = known.key.time.max(key.time))
            .or_insert_with(|| {
                self.unpersisted += 1;
                ParkedEntry {
                    key,
                    persisted: false,
                }
            });
    }

    /// Parks a key that is persisted.
    pub(super) fn park_persisted(&mut self, key: ParkedKey) {
        let owned = DocumentKey::new(key.id_kind, &key.id).into_owned();
        self.parked.insert(
            owned,
            ParkedEntry {
                key,
                persisted: true,
            },
        );
    }

    /// The parked keys, in the order of their first events.
    pub(crate) fn parked(&self) -> Vec<ParkedKey> {
        let mut keys: Vec<_> = self
            .parked
            .values()
            .map(|entry| entry.key.clone())
            .collect();
        keys.sort_by_key(|key| key.order);
        keys
    }

    /// The number of parked keys.
    pub(super) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// The keys that are not persisted yet.
    pub(super) fn unpersisted(&self) -> impl Iterator<Item = &ParkedKey> {
        let entries = self.parked.values().filter(|entry| !entry.persisted);
        // Most partitions have none, and are not walked.
        let take = if self.unpersisted == 0 { 0 } else { usize::MAX };
        entries.take(take).map(|entry| &entry.key)
    }

    /// Notes that these parked keys are persisted. Many of them leave the memory.
    pub(super) fn persisted(&mut self, keys: &[ParkedKey]) {
        for key in keys {
            let owned = DocumentKey::new(key.id_kind, &key.id).into_owned();
            if let Some(entry) = self.parked.get_mut(&owned).filter(|entry| !entry.persisted) {
                entry.persisted = true;
                self.unpersisted -= 1;
            }
        }
        if self.parked.len() > MAX_IN_MEMORY && matches!(self.state, PartitionState::InWork(_)) {
            self.parked.retain(|_, entry| !entry.persisted);
            self.has_stored_keys = true;
        }
    }

    /// Forgets the parked keys, which have been looked up. Returns whether any is persisted.
    pub(super) fn clear_parked(&mut self) -> bool {
        let stored = self.has_stored_keys || self.parked.values().any(|entry| entry.persisted);
        self.parked.clear();
        (self.unpersisted, self.has_stored_keys) = (0, false);
        stored
    }

    /// Moves all parked keys out.
    pub(super) fn take_keys(&mut self) -> Vec<ParkedKey> {
        self.unpersisted = 0;
        self.parked.drain().map(|(_, entry)| entry.key).collect()
    }
}
