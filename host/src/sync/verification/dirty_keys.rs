//! Dirty keys: keys of documents that have changed since they were compared.

use std::collections::{HashMap, HashSet};

use crate::model::event::CollectionUuid;

/// Keys in memory, and bytes of their values. Beyond, a collection is verified from the beginning.
const MAX_KEYS: usize = 200_000;
const MAX_BYTES: usize = 12 << 20;

/// The type and the bytes of an `_id`.
pub(super) type DirtyKey = (u8, Box<[u8]>);

/// The dirty keys of all collections, by the collections' UUIDs on the source.
#[derive(Debug, Default)]
pub(crate) struct DirtyKeys {
    keys: HashMap<CollectionUuid, HashSet<DirtyKey>>,
    count: usize,
    bytes: usize,
    /// Collections that are not verified any more: there were too many keys, or they are copied.
    forgotten: HashSet<CollectionUuid>,
}

impl DirtyKeys {
    /// Notes that a document has changed.
    pub(crate) fn note(&mut self, uuid: CollectionUuid, (id_kind, id): (u8, &[u8])) {
        if self.forgotten.contains(&uuid) {
            return;
        }
        if self
            .keys
            .entry(uuid)
            .or_default()
            .insert((id_kind, id.into()))
        {
            self.count += 1;
            self.bytes += id.len();
        }
        if self.count > MAX_KEYS || self.bytes > MAX_BYTES {
            let largest = self.keys.iter().max_by_key(|(_, keys)| keys.len());
            if let Some(largest) = largest.map(|(uuid, _)| *uuid) {
                tracing::info!(
                    "a collection changes faster than it is verified, and is verified again"
                );
                self.forget(&[largest]);
            }
        }
    }

    /// Notes that documents of a collection have changed.
    pub(super) fn note_all(&mut self, uuid: CollectionUuid, keys: &[DirtyKey]) {
        for (id_kind, id) in keys {
            self.note(uuid, (*id_kind, id));
        }
    }

    /// Forgets collections, which are verified from the beginning.
    pub(super) fn forget(&mut self, collections: &[CollectionUuid]) {
        for uuid in collections {
            drop(self.take(*uuid));
            self.forgotten.insert(*uuid);
        }
    }

    /// The keys of a collection.
    pub(super) fn take(&mut self, uuid: CollectionUuid) -> HashSet<DirtyKey> {
        let keys = self.keys.remove(&uuid).unwrap_or_default();
        self.count -= keys.len();
        self.bytes -= keys.iter().map(|(_, id)| id.len()).sum::<usize>();
        keys
    }

    /// Adds the keys and the forgotten collections of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        let forgotten: Vec<_> = other.forgotten.into_iter().collect();
        self.forget(&forgotten);
        for (uuid, keys) in other.keys {
            for (id_kind, id) in keys {
                self.note(uuid, (id_kind, &id));
            }
        }
    }

    /// The collections that are not verified any more.
    pub(super) fn forgotten(&self) -> impl Iterator<Item = CollectionUuid> {
        self.forgotten.iter().copied()
    }

    /// Whether a collection is not verified any more.
    pub(super) fn is_forgotten(&self, uuid: CollectionUuid) -> bool {
        self.forgotten.contains(&uuid)
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether a slice should end, so that the keys are compared before they are too many.
    pub(super) fn are_many(&self) -> bool {
        self.count > MAX_KEYS / 4 || self.bytes > MAX_BYTES / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_keys_forget_the_collection_with_the_most() {
        let mut dirty = DirtyKeys::default();
        dirty.note([2; 16], (0x10, &[1]));
        for key in 0..=u32::try_from(MAX_KEYS).unwrap() {
            dirty.note([1; 16], (0x10, &key.to_le_bytes()));
        }
        assert!(dirty.is_forgotten([1; 16]) && !dirty.is_forgotten([2; 16]));
        assert_eq!((dirty.len(), dirty.bytes), (1, 1));
        dirty.note([1; 16], (0x10, &[1]));
        assert_eq!(dirty.len(), 1);
    }

    #[test]
    fn keys_that_come_back_are_kept_once() {
        let (mut dirty, mut taken) = (DirtyKeys::default(), DirtyKeys::default());
        taken.note([1; 16], (0x10, &[1]));
        taken.note([1; 16], (0x10, &[2]));
        dirty.note([1; 16], (0x10, &[2]));
        dirty.merge(taken);
        assert_eq!(dirty.take([1; 16]).len(), 2);
        assert_eq!((dirty.len(), dirty.bytes), (0, 0));
    }
}
