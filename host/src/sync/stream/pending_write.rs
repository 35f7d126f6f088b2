//! Folds the events of a collection into a pending write for each document.
//!
//! Of several events of one document only the last whole document counts, and the deltas after it.
//! Different documents are independent, so a fold can be written as inserts, then updates, then
//! deletes.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::{
    Error,
    delta::Delta,
    freshness::{Exactness, Freshness},
    round::{EventRef, RoundPart},
    tracked_collections::TrackedCollection,
};
use crate::model::{document_key::DocumentKey, event::OpType};

/// The write that brings a document of the destination to its state after the folded events.
///
/// Invariant: there are deltas only where they give the source's bytes, so never in a collection
/// with plugins, and never after an event that needs a look-up.
#[derive(Debug)]
pub(super) enum PendingWrite<'a> {
    /// A new document and the deltas after it.
    Insert {
        document: Cow<'a, [u8]>,
        deltas: Vec<Delta<'a>>,
    },
    /// The whole document, whether or not it is on the destination, and the deltas after it.
    Put {
        document: Cow<'a, [u8]>,
        deltas: Vec<Delta<'a>>,
    },
    /// Changes of an existing document. An empty list leaves the document alone.
    Deltas(Vec<Delta<'a>>),
    Delete,
    /// The source's current document is needed, whatever other events say.
    LookUp,
}

/// A document and its pending write.
#[derive(Debug)]
pub(super) struct PendingDocument<'a> {
    /// Its `_id` as the server compares it.
    pub(super) key: DocumentKey<'a>,
    /// The type and the bytes of its `_id`, as in the last event.
    pub(super) id_kind: u8,
    pub(super) id: &'a [u8],
    /// The write after the events folded so far.
    pub(super) write: PendingWrite<'a>,
    /// The document may already be on the destination, so an insert is written as a replacement.
    pub(super) replay: bool,
    /// The server refuses the document as a replacement, so it is deleted and inserted.
    pub(super) reinsert: bool,
}

/// The pending writes of a collection.
pub(super) struct Fold<'a, 't> {
    /// The collection.
    pub(super) tracked: &'t TrackedCollection,
    /// Its documents, each once.
    pub(super) entries: Vec<PendingDocument<'a>>,
}

/// Folds `events`, all of `tracked`, in the order of the stream.
pub(super) fn fold_events<'a>(
    part: &'a RoundPart,
    events: &[&'a EventRef],
    tracked: &TrackedCollection,
    exactness: &Exactness,
    freshness: &Freshness,
) -> Result<Vec<PendingDocument<'a>>, Error> {
    let mut entries: Vec<PendingDocument<'a>> = Vec::with_capacity(events.len());
    let mut by_key: FxHashMap<DocumentKey<'a>, usize> = FxHashMap::default();
    by_key.reserve(events.len());
    for event in events {
        let (id_kind, id) = part.id(event)?;
        let key = DocumentKey::new(id_kind, id);
        if freshness.covers(tracked.uuid, &key, event.time) {
            continue;
        }
        let at = *by_key.entry(key.clone()).or_insert(entries.len());
        if at == entries.len() {
            entries.push(PendingDocument::untouched(key, id_kind, id));
        }
        if let Some(entry) = entries.get_mut(at) {
            (entry.id_kind, entry.id) = (id_kind, id);
            let is_exact = event.is_after_copy && exactness.is_exact(event.time);
            entry.replay |= !is_exact;
            let may_be_delta = is_exact && may_be_delta(tracked, id_kind);
            entry
                .write
                .fold(event.op_type, part.body(event)?, may_be_delta)?;
        }
    }
    debug_assert!(
        tracked.chain.is_none() || entries.iter().all(|entry| entry.write.deltas().is_empty()),
        "plugins get whole documents"
    );
    Ok(entries)
}

fn may_be_delta(tracked: &TrackedCollection, id_kind: u8) -> bool {
    !tracked.is_strict(id_kind) && tracked.chain.is_none()
}

impl<'a> PendingWrite<'a> {
    /// A write that does nothing.
    fn nothing() -> Self {
        Self::Deltas(Vec::new())
    }

    /// Adds the next event of the document.
    fn fold(
        &mut self,
        op_type: OpType,
        body: Option<&'a [u8]>,
        may_be_delta: bool,
    ) -> Result<(), Error> {
        match (op_type, body) {
            (OpType::Delete, _) if self.is_look_up() => {}
            (OpType::Delete, _) => *self = Self::Delete,
            (_, None) => *self = Self::LookUp,
            (OpType::Insert | OpType::Replace, Some(document)) => self.put(op_type, document),
            (_, Some(body)) => match may_be_delta.then(|| Delta::of(body)).transpose()?.flatten() {
                Some(delta) if delta.is_empty() => {}
                Some(delta) => self.push(delta),
                None => *self = Self::LookUp,
            },
        }
        Ok(())
    }

    fn put(&mut self, op_type: OpType, document: &'a [u8]) {
        let (document, deltas) = (Cow::Borrowed(document), Vec::new());
        *self = match self {
            Self::LookUp => return,
            Self::Insert { .. } => Self::Insert { document, deltas },
            Self::Deltas(before) if before.is_empty() && op_type == OpType::Insert => {
                Self::Insert { document, deltas }
            }
            Self::Put { .. } | Self::Deltas(_) | Self::Delete => Self::Put { document, deltas },
        };
    }

    fn push(&mut self, delta: Delta<'a>) {
        match self {
            Self::Insert { deltas, .. } | Self::Put { deltas, .. } | Self::Deltas(deltas) => {
                deltas.push(delta);
            }
            // An update never follows a delete without an insert in between; a look-up is right in
            // any case.
            Self::Delete => *self = Self::LookUp,
            Self::LookUp => {}
        }
    }

    /// Whether the source's current document is needed.
    pub(super) fn is_look_up(&self) -> bool {
        matches!(self, Self::LookUp)
    }

    /// The document that is to be written whole.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        match self {
            Self::Insert { document, .. } | Self::Put { document, .. } => Some(document),
            Self::Deltas(_) | Self::Delete | Self::LookUp => None,
        }
    }

    /// The deltas, in the order of their events.
    pub(super) fn deltas(&self) -> &[Delta<'a>] {
        match self {
            Self::Insert { deltas, .. } | Self::Put { deltas, .. } | Self::Deltas(deltas) => deltas,
            Self::Delete | Self::LookUp => &[],
        }
    }

    /// Moves the write out and leaves a write that does nothing.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::nothing())
    }

    /// Replaces the document that is to be written whole.
    pub(super) fn replace(&mut self, changed: &[u8]) {
        if let Self::Insert { document, .. } | Self::Put { document, .. } = self {
            *document = Cow::Owned(changed.to_vec());
        }
    }

    /// Keeps the document off the destination. An inserted document was missing before its event,
    /// so an existing document with its `_id` comes from later events, and is left to them.
    pub(super) fn leave_out(&mut self) {
        *self = match self {
            Self::Insert { .. } => Self::nothing(),
            _ => Self::Delete,
        };
    }
}

impl<'a> PendingDocument<'a> {
    /// A document without any folded event.
    fn untouched(key: DocumentKey<'a>, id_kind: u8, id: &'a [u8]) -> Self {
        Self {
            key,
            id_kind,
            id,
            write: PendingWrite::nothing(),
            replay: false,
            reinsert: false,
        }
    }

    /// A document that is looked up, and may be on the destination.
    pub(super) fn looked_up(key: DocumentKey<'a>, id_kind: u8, id: &'a [u8]) -> Self {
        Self {
            write: PendingWrite::LookUp,
            replay: true,
            ..Self::untouched(key, id_kind, id)
        }
    }

    /// Moves the pending write out and leaves nothing to do.
    pub(super) fn take(&mut self) -> PendingDocument<'a> {
        PendingDocument {
            key: self.key.clone(),
            write: self.write.take(),
            ..*self
        }
    }

    /// The approximate size of its statements in bytes.
    pub(super) fn bytes(&self) -> usize {
        let deltas = self.write.deltas();
        let whole = self.write.whole().map_or(0, <[u8]>::len);
        let changes: usize = deltas.iter().map(Delta::bytes).sum();
        whole + changes + (self.id.len() + 64) * (1 + deltas.len())
    }
}
