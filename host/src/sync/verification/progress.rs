//! How far a verification is: collections, and open mismatches.

use std::{collections::HashMap, sync::Arc};

use super::{
    DirtyKeys, Error, SyncedCollection, VerifiedClusters, boundary::VerificationBoundary,
    dirty_keys::DirtyKey,
};
use crate::{
    metadata::{
        MismatchDocument, MismatchState, NamespaceDocument, VerificationDocument,
        VerifiedCollectionDocument,
    },
    model::{ClusterTime, Position, event::CollectionUuid, raw},
    mongo,
};

/// Mismatches that are named. Beyond, a collection is read again when these are mended.
pub(super) const MAX_MISMATCHES: usize = 10_000;

/// The kind of what only the destination has. In place of the id of a namespace, of collections that the sync does not know.
pub(super) const EXTRA: &str = "extra";

/// The progress of a verification. Changes are persisted at the end of a slice.
#[derive(Default)]
pub(super) struct VerificationState {
    pub(super) collections: HashMap<CollectionUuid, CollectionState>,
    /// The open mismatches, by id.
    pub(super) mismatches: HashMap<String, MismatchDocument>,
    /// Mismatches to be persisted.
    pub(super) changed: HashMap<String, MismatchDocument>,
    /// Ids of collections to be removed from the metadata.
    pub(super) removed: Vec<String>,
    /// The persisted position, and times of the last boundary.
    pub(super) position: Option<Position>,
    pub(super) verified_to: Option<ClusterTime>,
    /// The destination's time up to which writes of other clients are known.
    pub(super) destination_time: Option<ClusterTime>,
    pub(super) written_by_others: u64,
    pub(super) repaired: u64,
}

/// How far a collection is verified.
pub(super) struct CollectionState {
    pub(super) document: VerifiedCollectionDocument,
    /// It is to be persisted.
    pub(super) changed: bool,
    /// Slices in a row in which the destination did not have the collection.
    pub(super) gone: u32,
    /// Mismatches beyond those that are named.
    pub(super) unnamed: u64,
}

/// A difference between the two documents of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DocumentDifference {
    /// `missing`, `extra` or `differs`.
    pub(super) kind: &'static str,
    /// The first differing path.
    pub(super) path: Option<String>,
}

impl CollectionState {
    fn unverified(uuid: CollectionUuid) -> Self {
        Self {
            document: VerifiedCollectionDocument {
                id: NamespaceDocument::id_of_uuid(uuid),
                up_to: None,
                complete: false,
                documents: 0,
            },
            changed: false,
            gone: 0,
            unnamed: 0,
        }
    }

    /// Whether some of its documents are verified, so that changes of them count.
    pub(super) fn is_begun(&self) -> bool {
        self.document.complete || self.document.up_to.is_some()
    }
}

impl VerificationState {
    /// The state that an earlier verifier has persisted.
    pub(super) async fn load(clusters: &VerifiedClusters) -> Result<Self, Error> {
        let mut state = Self::default();
        let store = &clusters.store;
        if let Some(persisted) = store.verification().await? {
            let to_u64 = |n: i64| u64::try_from(n).unwrap_or_default();
            state.position = Some(persisted.position);
            state.verified_to = Some(persisted.verified_to);
            state.destination_time = Some(persisted.destination_time);
            state.written_by_others = to_u64(persisted.written_by_others);
            state.repaired = to_u64(persisted.repaired);
        }
        for document in store.verified_collections().await? {
            let uuid = NamespaceDocument::uuid_of_id(&document.id);
            match uuid.filter(|_| state.position.is_some()) {
                Some(uuid) => {
                    let known = CollectionState {
                        document,
                        ..CollectionState::unverified(uuid)
                    };
                    state.collections.insert(uuid, known);
                }
                None => state.removed.push(document.id),
            }
        }
        for mismatch in store.open_mismatches().await? {
            state.mismatches.insert(mismatch.id.clone(), mismatch);
        }
        Ok(state)
    }

    /// Goes back to the persisted state. Collections that are not verified any more stay so.
    pub(super) async fn load_again(&mut self, clusters: &VerifiedClusters) -> Result<(), Error> {
        let persisted = Self::load(clusters).await?;
        let unverified = std::mem::replace(self, persisted).removed;
        for id in unverified {
            if let Some(uuid) = NamespaceDocument::uuid_of_id(&id) {
                self.reset(uuid);
            }
        }
        Ok(())
    }

    /// Makes all collections unverified.
    pub(super) fn reset_all(&mut self) {
        let uuids: Vec<_> = self.collections.keys().copied().collect();
        for uuid in uuids {
            self.reset(uuid);
        }
    }

    pub(super) fn reset(&mut self, uuid: CollectionUuid) {
        if let Some(known) = self.collections.get_mut(&uuid) {
            if known.is_begun() {
                self.removed.push(known.document.id.clone());
            }
            *known = CollectionState::unverified(uuid);
        }
    }

    /// Takes the collections of a boundary, and those that are not verified any more.
    pub(super) fn follow(&mut self, boundary: &VerificationBoundary) {
        let present: HashMap<_, _> = boundary
            .collections
            .iter()
            .map(|collection| (collection.uuid, collection))
            .collect();
        let gone: Vec<_> = self
            .collections
            .keys()
            .filter(|uuid| !present.contains_key(*uuid))
            .copied()
            .collect();
        for uuid in gone {
            self.reset(uuid);
            self.collections.remove(&uuid);
        }
        self.close_mismatches_of_dropped(&present);
        for uuid in present.keys() {
            self.collections
                .entry(*uuid)
                .or_insert_with(|| CollectionState::unverified(*uuid));
        }
        for uuid in boundary.dirty.forgotten() {
            self.reset(uuid);
        }
        let has_room = self.mismatches.len() < MAX_MISMATCHES / 2;
        let again: Vec<_> = self
            .collections
            .iter()
            .filter(|(_, known)| known.unnamed > 0 && has_room)
            .map(|(uuid, _)| *uuid)
            .collect();
        for uuid in again {
            self.reset(uuid);
        }
    }

    /// Mismatches of collections that the sync does not have any more are gone with them.
    fn close_mismatches_of_dropped(
        &mut self,
        present: &HashMap<CollectionUuid, &Arc<SyncedCollection>>,
    ) {
        let of_dropped = |mismatch: &MismatchDocument| {
            let uuid = NamespaceDocument::uuid_of_id(&mismatch.namespace_id);
            mismatch.namespace_id != EXTRA && uuid.is_none_or(|uuid| !present.contains_key(&uuid))
        };
        let dropped = self.mismatches.values().filter(|one| of_dropped(one));
        let dropped: Vec<_> = dropped.map(|mismatch| mismatch.id.clone()).collect();
        for id in dropped {
            self.close_mismatch(&id);
        }
    }

    /// The keys to compare of a collection: dirty keys, and those of open mismatches.
    pub(super) fn keys_of(&self, uuid: CollectionUuid, dirty: &mut DirtyKeys) -> Vec<DirtyKey> {
        let mut keys = dirty.take(uuid);
        let id = NamespaceDocument::id_of_uuid(uuid);
        if !self
            .collections
            .get(&uuid)
            .is_some_and(CollectionState::is_begun)
        {
            // Its documents are read later, at this boundary or a later one.
            keys.clear();
        }
        for mismatch in self
            .mismatches
            .values()
            .filter(|one| one.namespace_id == id)
        {
            let key = mismatch.document_id.as_ref().and_then(|id| {
                let id = raw::find(id.as_bytes(), "_id").ok()??;
                Some((id.kind, Box::from(id.value)))
            });
            keys.extend(key);
        }
        keys.into_iter().collect()
    }

    /// Notes that all changes are persisted. A collection whose copy has begun meanwhile is reset by the next slice.
    pub(super) fn persisted(&mut self) {
        self.removed.clear();
        for mismatch in std::mem::take(&mut self.changed).into_values() {
            let namespace = &mismatch.source;
            match mismatch.state {
                MismatchState::Open => {
                    tracing::warn!(%namespace, id = mismatch.id, kind = mismatch.kind, "a document differs");
                }
                state => {
                    tracing::info!(%namespace, id = mismatch.id, ?state, "a document does not differ any more");
                }
            }
        }
        for known in self.collections.values_mut() {
            known.changed = false;
        }
    }

    /// The number of mismatches, with those that are not named.
    pub(super) fn mismatch_count(&self) -> u64 {
        let unnamed: u64 = self.collections.values().map(|one| one.unnamed).sum();
        unnamed + self.mismatches.len() as u64
    }

    /// The collections that are not verified whole.
    pub(super) fn incomplete(&self) -> usize {
        let collections = self.collections.values();
        collections.filter(|known| !known.document.complete).count()
    }

    /// The collections that are not verified whole, without those that the destination does not have.
    pub(super) fn incomplete_without_missing(&self) -> usize {
        let collections = self.collections.values();
        let is_left = |known: &&CollectionState| !known.document.complete && known.gone < 2;
        collections.filter(is_left).count()
    }

    /// The state as it is persisted; `None` before the first whole slice.
    pub(super) fn document(&self) -> Option<VerificationDocument> {
        let to_i64 = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Some(VerificationDocument {
            id: VerificationDocument::ID.to_owned(),
            position: self.position.clone()?,
            verified_to: self.verified_to?,
            destination_time: self.destination_time?,
            written_by_others: to_i64(self.written_by_others),
            repaired: to_i64(self.repaired),
        })
    }
}

/// `{_id: value}`.
pub(super) fn id_document((id_kind, id): &DirtyKey) -> Result<bson::RawDocumentBuf, Error> {
    let mut writer = raw::Writer::continuing(bson::RawDocumentBuf::new().into_bytes());
    writer.value(*id_kind, b"_id", id);
    let document = bson::RawDocumentBuf::from_bytes(writer.finish());
    Ok(document.map_err(mongo::Error::Bson)?)
}
