//! A round: the document events of one batch, shared out among the appliers.

use std::{ops::Range, pin::Pin, sync::Arc};

use super::{Error, reader::StreamBatch, tracked_collections::TrackedCollection};
use crate::model::{
    ClusterTime, Position,
    document_key::DocumentKey,
    event::{ChangeEvent, OpType},
    raw::{Malformed, range_in},
};

/// A round that is being applied; ends when every applier is done with it.
pub(super) type RoundFuture = Pin<Box<dyn Future<Output = Result<RoundReport, Error>> + Send>>;

/// What a finished round has done.
#[derive(Debug)]
pub(super) struct RoundReport {
    pub(super) events: u64,
    pub(super) position: Option<Position>,
}

/// One document event, as places in the bytes of its batch.
pub(super) struct EventRef {
    pub(super) op_type: OpType,
    pub(super) time: ClusterTime,
    pub(super) tracked: Arc<TrackedCollection>,
    pub(super) id_kind: u8,
    id: Range<usize>,
    /// The full document, or the update description of an update.
    body: Range<usize>,
}

/// One applier's events of a round, in the order of the stream.
pub(super) struct RoundPart {
    batch: Arc<StreamBatch>,
    pub(super) events: Vec<EventRef>,
}

pub(super) struct RoundBuilder {
    batch: Arc<StreamBatch>,
    parts: Vec<Vec<EventRef>>,
    events: u64,
}

impl RoundBuilder {
    pub(super) fn new(batch: &Arc<StreamBatch>, appliers: usize) -> Self {
        let parts = std::iter::repeat_with(Vec::new).take(appliers).collect();
        Self {
            batch: batch.clone(),
            parts,
            events: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Adds an event of `tracked`. All events of one document go to one applier.
    pub(super) fn push(
        &mut self,
        event: &ChangeEvent<'_>,
        tracked: &Arc<TrackedCollection>,
    ) -> Result<(), Error> {
        let bytes = self.batch.bytes();
        let (id_kind, id) = event.document_id.ok_or(Malformed)?;
        let body = match event.op_type {
            OpType::Update => event.update_description.ok_or(Malformed)?,
            OpType::Insert | OpType::Replace => event.full_document.ok_or(Malformed)?,
            _ => &[],
        };
        let place = EventRef {
            op_type: event.op_type,
            time: event.cluster_time,
            tracked: tracked.clone(),
            id_kind,
            id: range_in(bytes, id),
            body: if body.is_empty() {
                0..0
            } else {
                range_in(bytes, body)
            },
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
        Ok(())
    }

    /// The parts by applier; empty ones included.
    pub(super) fn into_parts(self) -> impl Iterator<Item = RoundPart> {
        let batch = self.batch;
        self.parts.into_iter().map(move |events| RoundPart {
            batch: batch.clone(),
            events,
        })
    }
}

impl RoundPart {
    /// The type and the bytes of the document's `_id`.
    pub(super) fn id(&self, event: &EventRef) -> Result<(u8, &[u8]), Error> {
        Ok((event.id_kind, self.slice(&event.id)?))
    }

    pub(super) fn body(&self, event: &EventRef) -> Result<&[u8], Error> {
        self.slice(&event.body)
    }

    fn slice(&self, range: &Range<usize>) -> Result<&[u8], Error> {
        Ok(self.batch.bytes().get(range.clone()).ok_or(Malformed)?)
    }
}

/// Documents whose order counts beyond their collection's own go to one applier. The high bits choose: the low ones of a hash are the poorer.
fn applier_of(
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
