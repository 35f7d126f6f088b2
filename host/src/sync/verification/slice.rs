//! A slice of the verification, at one boundary.

use std::sync::Arc;

use super::{
    DirtyKeys, Error, SyncedCollection, Verification, VerificationBoundary, VerifiedClusters,
    dirty_keys::DirtyKey,
    foreign_writes::{self, ForeignWrites},
    is_passing,
    items::SliceItems,
    progress::{CollectionState, VerificationState},
    scan::{CollectionScan, ScanEnd, SliceDeadline},
};
use crate::{
    metadata::NamespaceDocument, mongo::Error as MongoError, observe::failpoint,
    sync::throttle::Throttle,
};

/// The comparison of both clusters at a boundary.
pub(super) struct Slice<'a> {
    pub(super) clusters: &'a VerifiedClusters,
    pub(super) throttle: &'a Throttle,
    pub(super) verification: &'a Verification,
    pub(super) state: &'a mut VerificationState,
    pub(super) deadline: SliceDeadline,
}

/// The outcome of a slice.
pub(super) struct SliceEnd {
    /// Every dirty key was compared.
    pub(super) keys_compared: bool,
    /// Whether the destination's oplog can be read.
    pub(super) sees_foreign_writes: bool,
    /// The reason for which keys are left, or collections that are not verified whole could not be read.
    pub(super) held_up: Option<String>,
    /// Collections are left, and none of them could be read.
    pub(super) is_stalled: bool,
}

impl Slice<'_> {
    /// Compares, and persists the outcome. Keys that could not be compared are given back.
    pub(super) async fn run(
        &mut self,
        mut boundary: VerificationBoundary,
    ) -> Result<SliceEnd, Error> {
        self.state.follow(&boundary);
        let mut dirty = std::mem::take(&mut boundary.dirty);
        let foreign_writes = match self.add_foreign_writes(&boundary, &mut dirty).await {
            Ok(known) => known,
            Err(error) => {
                self.verification.give_back(dirty);
                return Err(error);
            }
        };
        let (mut left, mut compared) = (DirtyKeys::default(), Vec::new());
        let (mut failed, mut held_up) = (None, None);
        for collection in &boundary.collections {
            let keys = self.state.keys_of(collection.uuid, &mut dirty);
            match self.compare_keys(&boundary, collection, &keys).await {
                Ok(()) => compared.push((collection.uuid, keys)),
                Err(error) => {
                    left.note_all(collection.uuid, &keys);
                    match is_passing(&error) {
                        true => held_up = Some(format!("{}: {error}", collection.source)),
                        false => failed = Some(error),
                    }
                }
            }
        }
        let keys_compared = left.len() == 0 && failed.is_none();
        self.verification.give_back(left);
        if let Some(error) = failed {
            return Err(error);
        }
        failpoint("verification_keys");
        // A slice goes on with a collection at least, however long the keys have taken.
        let stalled = self.scan_collections(&boundary).await?;
        let is_stalled = stalled.is_some();
        if keys_compared {
            self.state.position = Some(boundary.position.clone());
            self.state.verified_to = Some(boundary.at);
            self.state.destination_time = Some(boundary.destination);
            self.state.written_by_others += foreign_writes.unwrap_or_default();
        }
        if let Err(error) = self.persist().await {
            // The persisted state is from before this slice.
            let mut again = DirtyKeys::default();
            for (uuid, keys) in compared {
                again.note_all(uuid, &keys);
            }
            self.verification.give_back(again);
            self.state.load_again(self.clusters).await?;
            return Err(error);
        }
        failpoint("verification_slice");
        Ok(SliceEnd {
            keys_compared,
            sees_foreign_writes: foreign_writes.is_some(),
            held_up: stalled.or(held_up),
            is_stalled,
        })
    }

    /// Goes on with the collections that are not verified whole. Returns the reason where none of them could be read.
    async fn scan_collections(
        &mut self,
        boundary: &VerificationBoundary,
    ) -> Result<Option<String>, Error> {
        let (mut begun, mut advanced, mut stalled) = (false, false, None);
        let items = SliceItems::assign(
            self.clusters,
            self.verification,
            boundary,
            self.state,
            self.deadline,
        )
        .await?;
        for collection in &boundary.collections {
            if begun && self.ends() {
                break;
            }
            if !self.is_incomplete(collection) || items.has(collection) {
                continue;
            }
            begun = true;
            match self.scan(boundary, collection).await {
                Ok(()) => advanced = true,
                Err(error) if is_passing(&error) => {
                    tracing::debug!(namespace = %collection.source, error = %error, "compared in the next slice");
                    stalled = Some(format!("{}: {error}", collection.source));
                }
                Err(error) => return Err(error),
            }
        }
        advanced |= self.take_reports(boundary, items).await?;
        Ok(stalled.filter(|_| !advanced))
    }

    /// Takes what other hosts have compared. Returns whether any collection has advanced.
    async fn take_reports(
        &mut self,
        boundary: &VerificationBoundary,
        items: SliceItems,
    ) -> Result<bool, Error> {
        let mut advanced = false;
        let verification = self.verification;
        let ends = || verification.dirty.lock().are_many();
        for range in items.reports(self.clusters, ends).await? {
            let of_range = |collection: &&Arc<SyncedCollection>| {
                NamespaceDocument::id_of_uuid(collection.uuid) == range.namespace_id
            };
            let Some(collection) = boundary.collections.iter().find(of_range) else {
                continue;
            };
            let end = ScanEnd::of_range(&range)?;
            match self.take_end(boundary, collection, &end).await {
                Ok(()) => advanced = true,
                Err(error) if is_passing(&error) => {
                    tracing::debug!(namespace = %collection.source, error = %error, "compared in the next slice");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(advanced)
    }

    fn is_incomplete(&self, collection: &SyncedCollection) -> bool {
        let known = self.state.collections.get(&collection.uuid);
        known.is_some_and(|known| !known.document.complete)
    }

    fn ends(&self) -> bool {
        self.deadline.has_passed() || self.verification.dirty.lock().are_many()
    }

    /// Makes documents dirty that other clients have written since the last boundary. Returns their number, if it is
    /// known.
    async fn add_foreign_writes(
        &mut self,
        boundary: &VerificationBoundary,
        dirty: &mut DirtyKeys,
    ) -> Result<Option<u64>, Error> {
        let from = self.state.destination_time.unwrap_or(boundary.destination);
        // Others are read whole at this boundary or a later one.
        let is_begun = |collection: &&Arc<SyncedCollection>| {
            let known = self.state.collections.get(&collection.uuid);
            known.is_some_and(CollectionState::is_begun)
        };
        let begun: Vec<_> = boundary
            .collections
            .iter()
            .filter(is_begun)
            .cloned()
            .collect();
        let to = boundary.destination;
        let found = foreign_writes::between(self.clusters, &begun, from, to);
        match found.await? {
            ForeignWrites::Found(keys, count) => {
                for uuid in keys.forgotten() {
                    self.state.reset(uuid);
                }
                dirty.merge(keys);
                Ok(Some(count))
            }
            ForeignWrites::Unknown => Ok(None),
            ForeignWrites::Lost => {
                tracing::info!(
                    "the destination's oplog no longer holds what others have written; all is verified again"
                );
                self.state.reset_all();
                Ok(Some(0))
            }
        }
    }

    /// Compares the keys of a collection.
    async fn compare_keys(
        &mut self,
        boundary: &VerificationBoundary,
        collection: &Arc<SyncedCollection>,
        keys: &[DirtyKey],
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let scan = CollectionScan::new(self.clusters, self.throttle, collection, boundary);
        let state = &mut *self.state;
        let is_gone = scan
            .compare_keys(keys, |key, difference| {
                state.take(collection, key, difference, boundary.at)
            })
            .await;
        if is_gone? {
            self.state.take_gone(collection, boundary.at);
            return Err(MongoError::Stale.into());
        }
        Ok(())
    }

    /// Goes on with a collection that is not verified whole.
    async fn scan(
        &mut self,
        boundary: &VerificationBoundary,
        collection: &Arc<SyncedCollection>,
    ) -> Result<(), Error> {
        let Some(known) = self.state.collections.get(&collection.uuid) else {
            return Ok(());
        };
        if known.document.complete {
            return Ok(());
        }
        if collection.destination.uuid.is_none() {
            return Err(MongoError::Stale.into());
        }
        let from = known.document.up_to.clone();
        let scan = CollectionScan::new(self.clusters, self.throttle, collection, boundary);
        let (verification, deadline) = (self.verification, self.deadline);
        let stops = || deadline.has_passed() || verification.dirty.lock().are_many();
        let end = scan.go_on(from.as_ref(), stops).await?;
        self.take_end(boundary, collection, &end).await
    }

    /// Takes the outcome of a comparison of a collection, by this host or another. What may differ is looked at by its key.
    async fn take_end(
        &mut self,
        boundary: &VerificationBoundary,
        collection: &Arc<SyncedCollection>,
        end: &ScanEnd,
    ) -> Result<(), Error> {
        if end.is_gone {
            self.state.take_gone(collection, boundary.at);
            return Ok(());
        }
        let bound = end.bound()?;
        let scan = CollectionScan::new(self.clusters, self.throttle, collection, boundary);
        for key in &end.suspects {
            let difference = scan.examine(key).await?;
            self.state.take(collection, key, difference, boundary.at)?;
        }
        let Some(known) = self.state.collections.get_mut(&collection.uuid) else {
            return Ok(());
        };
        (known.changed, known.gone) = (true, 0);
        known.document.complete = end.ended;
        if bound.is_some() {
            known.document.up_to = bound;
        }
        known.document.documents += i64::try_from(end.documents).unwrap_or_default();
        self.state.take_found(collection);
        Ok(())
    }

    /// Persists what has changed. A collection whose copy has begun meanwhile is left out.
    async fn persist(&mut self) -> Result<(), Error> {
        let Some(document) = self.state.document() else {
            return Ok(());
        };
        let Self {
            verification,
            state,
            clusters,
            ..
        } = self;
        let written = verification.persist(async {
            let mut collections = Vec::new();
            for (uuid, known) in &state.collections {
                if known.changed && !verification.dirty.lock().is_forgotten(*uuid) {
                    collections.push(known.document.clone());
                }
            }
            let changed: Vec<_> = state.changed.values().cloned().collect();
            let store = &clusters.store;
            store
                .put_verification(&document, &collections, &state.removed, &changed)
                .await
        });
        written.await?;
        self.state.persisted();
        Ok(())
    }
}
