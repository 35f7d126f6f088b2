//! Folds the events of one collection into what each document needs.
//!
//! Of several events of one document only the last whole one counts, and the
//! deltas behind it. Different documents do not depend on one another, so a
//! fold can be written as inserts, then updates, then deletes.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::{
    Error,
    delta::Delta,
    freshness::{Exactness, Freshness},
    round::{EventRef, Part},
    targets::Target,
};
use crate::model::{ClusterTime, document_key::DocumentKey, event::OpType};

/// What happens to a document before its deltas.
#[derive(Debug)]
pub(super) enum Base<'a> {
    Unchanged,
    /// New: written as an insert.
    Insert(Cow<'a, [u8]>),
    /// Written whole, whether or not it is there.
    Put(Cow<'a, [u8]>),
    Delete,
}

/// One document and what is to be done with it.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) key: DocumentKey<'a>,
    /// The type and the bytes of its `_id`, as in the last event.
    pub(super) id_kind: u8,
    pub(super) id: &'a [u8],
    pub(super) base: Base<'a>,
    pub(super) deltas: Vec<Delta<'a>>,
    /// The source's current document is needed; nothing else of the slot counts.
    pub(super) look_up: bool,
    /// The document may be there already: an insert is written as a replacement.
    pub(super) replay: bool,
    /// The server does not take the document as a replacement: it is deleted and inserted.
    pub(super) reinsert: bool,
}

/// Folds `events`, all of `target`, in the order of the stream.
pub(super) fn coalesce<'a>(
    part: &'a Part,
    events: &[&'a EventRef],
    target: &Target,
    exactness: &Exactness,
    freshness: &Freshness,
) -> Result<Vec<Slot<'a>>, Error> {
    let mut slots: Vec<Slot<'a>> = Vec::with_capacity(events.len());
    let mut by_key: FxHashMap<DocumentKey<'a>, usize> = FxHashMap::default();
    by_key.reserve(events.len());
    for event in events {
        let (id_kind, id) = part.id(event)?;
        let key = DocumentKey::new(id_kind, id);
        if freshness.covers(target.uuid, &key, event.time) {
            continue;
        }
        let at = *by_key.entry(key.clone()).or_insert(slots.len());
        if at == slots.len() {
            slots.push(Slot {
                key,
                id_kind,
                id,
                base: Base::Unchanged,
                deltas: Vec::new(),
                look_up: false,
                replay: false,
                reinsert: false,
            });
        }
        if let Some(slot) = slots.get_mut(at) {
            (slot.id_kind, slot.id) = (id_kind, id);
            slot.replay |= !exactness.is_exact(event.time);
            slot.fold(
                event.op_type,
                part.body(event)?,
                may_be_delta(target, id_kind, exactness, event.time),
            )?;
        }
    }
    Ok(slots)
}

fn may_be_delta(target: &Target, id_kind: u8, exactness: &Exactness, time: ClusterTime) -> bool {
    !target.is_strict(id_kind) && target.chain.is_none() && exactness.is_exact(time)
}

impl<'a> Slot<'a> {
    fn fold(&mut self, op_type: OpType, body: &'a [u8], may_be_delta: bool) -> Result<(), Error> {
        match op_type {
            OpType::Insert if matches!(self.base, Base::Unchanged) && self.deltas.is_empty() => {
                self.base = Base::Insert(Cow::Borrowed(body));
            }
            OpType::Insert | OpType::Replace => self.put(body),
            OpType::Delete => {
                self.base = Base::Delete;
                self.deltas.clear();
            }
            _ => match may_be_delta.then(|| Delta::of(body)).transpose()?.flatten() {
                Some(delta) if delta.is_empty() => {}
                Some(delta) => self.deltas.push(delta),
                None => self.look_up = true,
            },
        }
        Ok(())
    }

    fn put(&mut self, document: &'a [u8]) {
        self.deltas.clear();
        self.base = match self.base {
            Base::Insert(_) => Base::Insert(Cow::Borrowed(document)),
            _ => Base::Put(Cow::Borrowed(document)),
        };
    }
}

impl<'a> Slot<'a> {
    /// Moves what is to be done out of a slot that stays behind empty.
    pub(super) fn take(&mut self) -> Slot<'a> {
        Slot {
            key: self.key.clone(),
            id_kind: self.id_kind,
            id: self.id,
            base: std::mem::replace(&mut self.base, Base::Unchanged),
            deltas: std::mem::take(&mut self.deltas),
            look_up: std::mem::take(&mut self.look_up),
            replay: self.replay,
            reinsert: self.reinsert,
        }
    }

    /// The document that is to be written whole, if it is known.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        match &self.base {
            Base::Insert(document) | Base::Put(document) if !self.look_up => Some(document),
            _ => None,
        }
    }

    /// Writes `document` in place of the one that was to be written.
    pub(super) fn replace(&mut self, document: &[u8]) {
        if let Base::Insert(whole) | Base::Put(whole) = &mut self.base {
            *whole = Cow::Owned(document.to_vec());
        }
    }

    /// The document is not to be on the destination. One that was inserted was not there before
    /// the event, and whatever is there now came from later on: it is left to its own events.
    pub(super) fn leave_out(&mut self) {
        self.base = match self.base {
            Base::Insert(_) => Base::Unchanged,
            _ => Base::Delete,
        };
    }

    /// About what its statements take in a command.
    pub(super) fn bytes(&self) -> usize {
        let whole = match &self.base {
            Base::Insert(document) | Base::Put(document) => document.len(),
            _ => 0,
        };
        let deltas: usize = self.deltas.iter().map(Delta::bytes).sum();
        whole + deltas + (self.id.len() + 64) * (1 + self.deltas.len())
    }
}
