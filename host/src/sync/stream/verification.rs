//! The stream's part of the verification: boundaries, dirty keys and repairs.

use std::sync::Arc;

use super::{
    Error, applier::Applier, event_application::EventApplication, lookup::LookUpTime,
    pending_write::PendingDocument, tracked_collections::TrackedCollection,
};
use crate::{
    metadata::{MismatchDocument, NamespaceDocument},
    model::{ClusterTime, Position, document_key::DocumentKey, event::ChangeEvent, raw},
    mongo::listing,
    observe::failpoint,
    plugin::NamespaceChain,
    sync::verification::{SyncedCollection, VerificationBoundary, before},
};

impl EventApplication {
    /// Gives the verifier a boundary before a batch, if it waits for one and the batch begins at a later time than the
    /// events before it. Returns `true` after the last boundary, which nothing is applied after.
    pub(super) async fn meet_verification(
        &mut self,
        events: &[ChangeEvent<'_>],
        position: Option<Position>,
    ) -> Result<bool, Error> {
        let first = events.first().map(|event| event.cluster_time);
        let gap = first.or(position.map(|position| position.cluster_time));
        let before_batch = self.newest_event;
        if let Some(last) = events.last() {
            self.newest_event = self.newest_event.max(last.cluster_time);
        }
        match gap.filter(|gap| *gap > before_batch) {
            Some(gap) => self.meet_before(gap).await,
            None => Ok(false),
        }
    }

    /// Like [`Self::meet_verification`], while no round is under way and the position is later than every event.
    pub(super) async fn meet_between_rounds(&mut self) -> Result<bool, Error> {
        self.repair().await?;
        if !self.rounds.is_empty() {
            return Ok(false);
        }
        let position = self.position.time();
        if position > self.newest_event && self.meet_before(position).await? {
            return Ok(true);
        }
        let verification = &self.context.verification;
        let is_wanted = verification.wants_boundary() || verification.wants_last_boundary();
        if is_wanted && self.context.partitions.is_idle() {
            self.idle_notes.write(&self.context.source);
        }
        Ok(false)
    }

    async fn meet_before(&mut self, gap: ClusterTime) -> Result<bool, Error> {
        let is_last = self.context.verification.wants_last_boundary();
        if !is_last && !self.context.verification.wants_boundary() {
            return Ok(false);
        }
        self.repair().await?;
        self.finish_rounds().await?;
        let Some(boundary) = self.boundary(gap).await? else {
            return Ok(false);
        };
        failpoint("verification_boundary");
        let verification = &self.context.verification;
        if is_last {
            verification.keep_last(boundary);
        } else {
            verification.meet(boundary);
        }
        Ok(is_last)
    }

    /// The boundary before `gap`; `None` if a document may be ahead of it.
    async fn boundary(&mut self, gap: ClusterTime) -> Result<Option<VerificationBoundary>, Error> {
        let Some(position) = self.position.safe().cloned() else {
            return Ok(None);
        };
        let is_ahead = self.exactness.after_restart() >= gap;
        if is_ahead || !self.context.partitions.is_idle() {
            return Ok(None);
        }
        let collections = self.tracked_collections.all();
        let collections = collections.filter(|tracked| !tracked.capped);
        Ok(Some(VerificationBoundary {
            at: before(gap),
            destination: listing::operation_time(&self.context.destination.reads()).await?,
            position,
            dirty: self.context.verification.take_dirty(),
            collections: collections.map(|tracked| synced(tracked)).collect(),
            pins: self.pins(),
        }))
    }

    /// Digests of the components in force.
    fn pins(&self) -> Arc<[String]> {
        let pinned = self.context.record.get().pinned;
        pinned.into_iter().map(|pin| pin.digest).collect()
    }

    /// Marks the keys of events in scope as dirty.
    pub(super) fn note_changes(&self, events: &[ChangeEvent<'_>]) {
        self.context.verification.note(|dirty| {
            for event in events.iter().filter(|event| event.op_type.is_crud()) {
                if let Some(tracked) = self.tracked_collections.get(event.uuid)
                    && let Some(id) = event.document_id
                    && !tracked.capped
                {
                    dirty.note(tracked.uuid, id);
                }
            }
        });
    }

    /// Makes collections unverified that are copied or compared from now on.
    pub(super) async fn forget_verified(&mut self, namespaces: &[NamespaceDocument]) {
        let uuids = namespaces.iter().filter_map(NamespaceDocument::uuid);
        let uuids: Vec<_> = uuids.collect();
        if !uuids.is_empty() {
            self.context.verification.forget(&uuids).await;
        }
    }

    /// Makes collections unverified whose documents plugins see, after a swap: they were compared with the answers of the
    /// earlier build.
    pub(super) async fn forget_transformed(&mut self) {
        let collections = self.tracked_collections.all();
        let transformed = collections.filter(|tracked| tracked.chain.is_some());
        let uuids: Vec<_> = transformed.map(|tracked| tracked.uuid).collect();
        self.context.verification.forget(&uuids).await;
    }

    /// Writes documents again from the source, which the verifier asks for.
    async fn repair(&mut self) -> Result<(), Error> {
        let repairs = self.context.verification.take_repairs();
        // A collection that is copied or compared is verified afterwards.
        if repairs.is_empty() || !self.context.partitions.is_idle() {
            return Ok(());
        }
        self.finish_rounds().await?;
        let time = self.position.time();
        let mut applier = Applier::between_rounds(&self.context, &self.exactness);
        for mismatches in repairs.chunk_by(|a, b| a.namespace_id == b.namespace_id) {
            let uuid = mismatches.first();
            let uuid = uuid.and_then(|one| NamespaceDocument::uuid_of_id(&one.namespace_id));
            if let Some(tracked) = self.tracked_collections.get(uuid) {
                write_again(&mut applier, tracked, mismatches, time).await?;
            }
        }
        failpoint("mismatches_repaired");
        Ok(())
    }
}

async fn write_again(
    applier: &mut Applier,
    tracked: &TrackedCollection,
    mismatches: &[MismatchDocument],
    at_least: ClusterTime,
) -> Result<(), Error> {
    let mut look_ups = Vec::with_capacity(mismatches.len());
    for mismatch in mismatches {
        let Some(document_id) = &mismatch.document_id else {
            continue;
        };
        let id = raw::find(document_id.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
        let key = DocumentKey::new(id.kind, id.value);
        look_ups.push(PendingDocument::looked_up(key, id.kind, id.value));
    }
    let time = LookUpTime::newest(at_least);
    applier.look_up(tracked, &mut look_ups, time).await
}

fn synced(tracked: &TrackedCollection) -> Arc<SyncedCollection> {
    Arc::new(SyncedCollection {
        uuid: tracked.uuid,
        source: tracked.source.clone(),
        destination: tracked.collection.clone(),
        collated: tracked.collated,
        chain: tracked.chain.clone().map(NamespaceChain::uncounted),
    })
}
