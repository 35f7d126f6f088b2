//! Places of keys that the server gives, where the host does not know their order.

use bson::{RawDocument, RawDocumentBuf};

use super::{ParkedKey, PartitionMap, collection::CollectionPartitions};
use crate::{model::event::CollectionUuid, mongo::listing};

/// The key of a document whose place the server has to give.
pub(crate) type UnplacedKey = (u8, Box<[u8]>);

/// A collection's bounds and options, for the server's comparison.
pub(crate) struct Bounds {
    /// As `{_id: value}`, ascending.
    pub(crate) bounds: Vec<RawDocumentBuf>,
    /// The options of the collection.
    pub(crate) options: RawDocumentBuf,
}

impl Bounds {
    /// The collection's collation.
    pub(crate) fn collation(&self) -> Option<&RawDocument> {
        listing::subdocument(&self.options, "collation")
    }
}

impl PartitionMap {
    /// The bounds of a collection.
    pub(crate) fn bounds(&self, uuid: CollectionUuid) -> Option<Bounds> {
        let inner = self.inner.lock();
        let collection = inner.collections.get(&uuid)?;
        Some(Bounds {
            bounds: collection.bounds(),
            options: collection.namespace.options.clone(),
        })
    }

    /// Keeps the places that the server gave for these bounds, until [`Self::forget_places`]. Places
    /// for other bounds than the present are dropped.
    pub(crate) fn learn(
        &self,
        uuid: CollectionUuid,
        bounds: &Bounds,
        keys: &[UnplacedKey],
        places: &[usize],
    ) {
        let mut inner = self.inner.lock();
        let collection = inner.collections.get_mut(&uuid);
        if let Some(collection) = collection.filter(|it| it.bounds() == bounds.bounds) {
            for ((id_kind, id), place) in keys.iter().zip(places) {
                collection.learn(*id_kind, id, *place);
            }
        }
    }

    /// Forgets the places that the server gave.
    pub(crate) fn forget_places(&self) {
        let mut inner = self.inner.lock();
        let collections = inner.collections.values_mut();
        collections.for_each(CollectionPartitions::forget_places);
    }

    /// Puts persisted keys back to their partitions. Returns those whose place the server has to
    /// give.
    pub(crate) fn park_again(&self, uuid: CollectionUuid, keys: Vec<ParkedKey>) -> Vec<ParkedKey> {
        let mut inner = self.inner.lock();
        let Some(collection) = inner.collections.get_mut(&uuid) else {
            return Vec::new();
        };
        let unplaced = keys.into_iter().filter_map(|key| {
            let kept = key.clone();
            (!collection.park_again(key)).then_some(kept)
        });
        unplaced.collect()
    }
}
