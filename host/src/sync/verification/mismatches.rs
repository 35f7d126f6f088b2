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
        let known = self.mismatches.get(&id);
        if known.is_none() && self.mismatches.len() >= MAX_MISMATCHES {
            if let Some(state) = self.collections.get_mut(&collection.uuid) {
                state.unnamed += 1;
            }
            return Ok(());
        }
        let mismatch = MismatchDocument {
            id: id.clone(),
            namespace_id,
            source: collection.source.clone(),
            destination: collection.destination.namespace.clone(),
            document_id: Some(id_document(key)?),
            kind: difference.kind.to_owned(),
            path: difference.path,
            state: MismatchState::Open,
            found_at: at,
        };
        let is_known = known.is_some_and(|known| {
            (&known.kind, &known.path, known.state)
                == (&mismatch.kind, &mismatch.path, mismatch.state)
        });
        if !is_known {
            self.changed.insert(id.clone(), mismatch.clone());
            self.mismatches.insert(id, mismatch);
        }
        Ok(())
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
        let id = format!("{namespace_id}:");
        if !self.mismatches.contains_key(&id) {
            let mismatch = MismatchDocument {
                id: id.clone(),
                namespace_id,
                source: collection.source.clone(),
                destination: collection.destination.namespace.clone(),
                document_id: None,
                kind: "missing".to_owned(),
                path: None,
                state: MismatchState::Open,
                found_at: at,
            };
            self.changed.insert(id.clone(), mismatch.clone());
            self.mismatches.insert(id, mismatch);
        }
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
        for (id, (source, destination)) in extra {
            let mismatch = MismatchDocument {
                id: id.clone(),
                namespace_id: EXTRA.to_owned(),
                source,
                destination,
                document_id: None,
                kind: EXTRA.to_owned(),
                path: None,
                state: MismatchState::Open,
                found_at: at,
            };
            self.changed.insert(id.clone(), mismatch.clone());
            self.mismatches.insert(id, mismatch);
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

fn mismatch_id(namespace_id: &str, (id_kind, id): &DirtyKey) -> String {
    let digest = Sha256::digest(DocumentKey::new(*id_kind, id).to_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{namespace_id}:{hex}")
}
