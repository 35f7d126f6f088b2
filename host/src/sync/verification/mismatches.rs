//! The mismatches that a verification finds: their names, and their ends.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{
    Error, SyncedCollection,
    dirty_keys::DirtyKey,
    progress::{DocumentDifference, EXTRA, MAX_MISMATCHES, VerificationState, id_document},
};
use crate::{
    metadata::{MismatchDocument, MismatchState, NamespaceDocument},
    model::{ClusterTime, Namespace, document_key::DocumentKey},
};

impl VerificationState {
    /// Takes the outcome of a comparison of one key.
    pub(super) fn take(
        &mut self,
        collection: &SyncedCollection,
        key: &DirtyKey,
        difference: Option<DocumentDifference>,
        at: ClusterTime,
    ) -> Result<(), Error> {
        let namespace_id = NamespaceDocument::id_of_uuid(collection.uuid);
        let id = mismatch_id(&namespace_id, key);
        let Some(difference) = difference else {
            self.close_mismatch(&id);
            return Ok(());
        };
        if !self.mismatches.contains_key(&id) && self.mismatches.len() >= MAX_MISMATCHES {
            if let Some(state) = self.collections.get_mut(&collection.uuid) {
                state.unnamed += 1;
            }
            return Ok(());
        }
        let mismatch = MismatchDocument {
            id,
            namespace_id,
            source: collection.source.shown(),
            destination: collection.destination.namespace.shown(),
            document_id: Some(id_document(key)?),
            kind: difference.kind.to_owned(),
            path: difference.path,
            state: MismatchState::Open,
            found_at: at,
        };
        self.open(mismatch);
        Ok(())
    }

    /// Takes a mismatch. One that is known keeps the time at which it was found.
    fn open(&mut self, mismatch: MismatchDocument) {
        let is_known = self.mismatches.get(&mismatch.id).is_some_and(|known| {
            (&known.kind, &known.path, known.state)
                == (&mismatch.kind, &mismatch.path, mismatch.state)
        });
        if !is_known {
            self.changed.insert(mismatch.id.clone(), mismatch.clone());
            self.mismatches.insert(mismatch.id.clone(), mismatch);
        }
    }

    /// Closes the mismatch of a collection that the destination does not have.
    pub(super) fn take_found(&mut self, collection: &SyncedCollection) {
        let namespace_id = NamespaceDocument::id_of_uuid(collection.uuid);
        self.close_mismatch(&format!("{namespace_id}:"));
    }

    /// Notes that the destination does not have a collection. In the first slice, a drop by the stream may have come
    /// after the boundary.
    pub(super) fn take_gone(&mut self, collection: &SyncedCollection, at: ClusterTime) {
        let Some(known) = self.collections.get_mut(&collection.uuid) else {
            return;
        };
        let gone = known.gone + 1;
        if gone > 1 {
            self.reset(collection.uuid);
            self.name_missing(collection, at);
        }
        if let Some(known) = self.collections.get_mut(&collection.uuid) {
            known.gone = gone;
        }
    }

    /// Names a collection that the destination does not have.
    pub(super) fn name_missing(&mut self, collection: &SyncedCollection, at: ClusterTime) {
        let namespace_id = NamespaceDocument::id_of_uuid(collection.uuid);
        let names = (
            collection.source.shown(),
            collection.destination.namespace.shown(),
        );
        let id = format!("{namespace_id}:");
        self.open(lone_collection((id, namespace_id), names, "missing", at));
    }

    /// Takes the collections that only the destination has, by their names on the source and on the destination.
    pub(super) fn take_extra(&mut self, extra: Vec<(Namespace, Namespace)>, at: ClusterTime) {
        let extra: HashMap<String, _> = extra
            .into_iter()
            .map(|names| (format!("{EXTRA}:{}", names.1), names))
            .collect();
        let known = self.mismatches.values();
        let gone = known.filter(|one| one.namespace_id == EXTRA && !extra.contains_key(&one.id));
        let gone: Vec<_> = gone.map(|one| one.id.clone()).collect();
        for id in gone {
            self.close_mismatch(&id);
        }
        for (id, names) in extra {
            self.open(lone_collection((id, EXTRA.to_owned()), names, EXTRA, at));
        }
    }

    pub(super) fn close_mismatch(&mut self, id: &str) {
        if let Some(mut mismatch) = self.mismatches.remove(id) {
            mismatch.state = match mismatch.state {
                MismatchState::Repairing => {
                    self.repaired += 1;
                    MismatchState::Repaired
                }
                _ => MismatchState::Gone,
            };
            self.changed.insert(mismatch.id.clone(), mismatch);
        }
    }
}

/// The mismatch of a collection that only one of the clusters has, by its ids and its names on the source and on the
/// destination.
fn lone_collection(
    (id, namespace_id): (String, String),
    (source, destination): (Namespace, Namespace),
    kind: &str,
    at: ClusterTime,
) -> MismatchDocument {
    MismatchDocument {
        id,
        namespace_id,
        source,
        destination,
        document_id: None,
        kind: kind.to_owned(),
        path: None,
        state: MismatchState::Open,
        found_at: at,
    }
}

fn mismatch_id(namespace_id: &str, (id_kind, id): &DirtyKey) -> String {
    let digest = Sha256::digest(DocumentKey::new(*id_kind, id).to_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{namespace_id}:{hex}")
}
