//! Rounds: the document events of one batch, shared among the appliers.

use std::{ops::Range, pin::Pin, sync::Arc};

use super::{Error, reader::StreamBatch, tracked_collections::TrackedCollection};
use crate::model::{
    ClusterTime, Position,
    document_key::DocumentKey,
    event::{ChangeEvent, CollectionUuid, OpType},
    raw::{Malformed, range_in},
};

/// A round that is being applied. Completes when every applier has finished its part.
pub(super) type RoundFuture = Pin<Box<dyn Future<Output = Result<RoundReport, Error>> + Send>>;

/// The outcome of a finished round.
#[derive(Debug)]
pub(super) struct RoundReport {
    /// The number of its document events.
    pub(super) events: u64,
    /// The stream's position after the round, if it moves.
    pub(super) position: Option<Position>,
    /// The partition whose parked keys have been looked up.
    pub(super) looked_up: Option<ParkedPartition>,
}

/// A finished partition whose parked keys are looked up.
#[derive(Debug)]
pub(super) struct ParkedPartition {
    /// Its collection.
    pub(super) uuid: CollectionUuid,
    /// The id of its document.
    pub(super) id: String,
}

/// A document event, as ranges in the bytes of its batch.
pub(super) struct EventRef {
    /// Insert, update, replace or delete.
    pub(super) op_type: OpType,
    /// The event's cluster time.
    pub(super) time: ClusterTime,
    /// Its collection.
    pub(super) tracked: Arc<TrackedCollection>,
    /// The event is newer than the copy of its partition, so that the copy does not contain it.
    pub(super) is_after_copy: bool,
    /// The BSON type of the document's `_id`.
    pub(super) id_kind: u8,
    id: Range<usize>,
    /// The full document, or the update description of an update; `None` for a delete and for an oversize event.
    body: Option<Range<usize>>,
}

impl EventRef {
    /// Whether its document is missing, and is looked up.
    pub(super) fn is_oversize(&self) -> bool {
        self.body.is_none() && self.op_type != OpType::Delete
    }
}

/// The events of one applier in a round, in the order of the stream.
pub(super) struct RoundPart {
    batch: Arc<StreamBatch>,
    /// The events, in the order of the stream.
    pub(super) events: Vec<EventRef>,
    /// The time of the round's newest event.
    pub(super) until: ClusterTime,
}

/// A round while its events are shared among the appliers.
pub(super) struct RoundBuilder {
    batch: Arc<StreamBatch>,
    parts: Vec<Vec<EventRef>>,
    events: u64,
    until: ClusterTime,
}

impl RoundBuilder {
    /// An empty round of events of `batch`.
    pub(super) fn new(batch: &Arc<StreamBatch>, appliers: usize) -> Self {
        let parts = std::iter::repeat_with(Vec::new).take(appliers).collect();
        Self {
            batch: batch.clone(),
            parts,
            events: 0,
            until: ClusterTime::default(),
        }
    }

    /// Whether it has no events.
    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The number of its events.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Counts an event that is not applied by the round, since its key is parked.
    pub(super) fn count(&mut self) {
        self.events += 1;
    }

    /// Adds an event of `tracked`. All events of a document go to the same applier.
    pub(super) fn push(
        &mut self,
        event: &ChangeEvent<'_>,
        tracked: &Arc<TrackedCollection>,
        is_after_copy: bool,
    ) -> Result<(), Error> {
        let bytes = self.batch.bytes();
        let (id_kind, id) = event.document_id.ok_or(Malformed)?;
        let place = EventRef {
            op_type: event.op_type,
            time: event.cluster_time,
            tracked: tracked.clone(),
            is_after_copy,
            id_kind,
            id: range_in(bytes, id),
            body: event.body().map(|body| range_in(bytes, body)),
        };
        let applier = applier_of(
            tracked,
            id_kind,
            &DocumentKey::new(id_kind, id),
            self.parts.len().max(1),
        );
        let part = self.parts.get_mut(applier).ok_or(Malformed)?;
        part.push(place);
        self.events += 1;
        self.until = self.until.max(event.cluster_time);
        Ok(())
    }

    /// The parts by applier, including empty parts.
    pub(super) fn into_parts(self) -> impl Iterator<Item = RoundPart> {
        let Self { batch, until, .. } = self;
        self.parts.into_iter().map(move |events| RoundPart {
            batch: batch.clone(),
            events,
            until,
        })
    }
}

impl RoundPart {
    /// The type and the bytes of the document's `_id`.
    pub(super) fn id(&self, event: &EventRef) -> Result<(u8, &[u8]), Error> {
        Ok((event.id_kind, self.slice(&event.id)?))
    }

    /// The full document, or the update description of an update; `None` for a delete and for an oversize event.
    pub(super) fn body(&self, event: &EventRef) -> Result<Option<&[u8]>, Error> {
        event
            .body
            .as_ref()
            .map(|range| self.slice(range))
            .transpose()
    }

    fn slice(&self, range: &Range<usize>) -> Result<&[u8], Error> {
        Ok(self.batch.bytes().get(range.clone()).ok_or(Malformed)?)
    }
}

/// The applier of a document. Documents whose order matters within their collection share an
/// applier. The high bits of the hash decide, since its low bits are poorer.
pub(super) fn applier_of(
    tracked: &TrackedCollection,
    id_kind: u8,
    key: &DocumentKey<'_>,
    appliers: usize,
) -> usize {
    let hash = if tracked.is_strict(id_kind) {
        DocumentKey::Bytes(0, &tracked.uuid).hash_for_order()
    } else {
        key.hash_for_order()
    };
    usize::try_from((hash >> 32) % appliers as u64).unwrap_or_default()
}
