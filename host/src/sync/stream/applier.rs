//! An applier takes its events of every round and writes them to the destination.
//!
//! An applier has all events of a document, in order. It writes inserts, then updates, then
//! deletes, in guarded transactions (`batch`), and then what has to be looked up on the source.
//! A transaction is applied exactly once, so deltas never meet a document that has them already.
//! What a replay may find there is written as a replacement from the start.

use std::sync::Arc;

use super::{
    Context, Error,
    batch::{BatchWriter, Fold},
    coalesce::{Slot, coalesce},
    freshness::{Exactness, Freshness},
    lookup::LookUp,
    round::{EventRef, Part},
    targets::Target,
};
use crate::{
    model::{ClusterTime, Guard, document_key::DocumentKey, event::OpType},
    plugin::Outcome,
    sync::{pipeline, quarantine::Origin},
};

/// Applies events of its documents; also what a retry looks up anew.
pub(super) struct Applier {
    context: Arc<Context>,
    exactness: Arc<Exactness>,
    freshness: Freshness,
    look_up: LookUp,
    writer: BatchWriter,
}

impl Applier {
    /// One of the appliers of rounds.
    pub(super) fn numbered(
        number: usize,
        context: &Arc<Context>,
        exactness: &Arc<Exactness>,
    ) -> Self {
        let guard = context.store.key().applier_guard(number);
        Self::guarded_by(guard, context, exactness)
    }

    /// For what is written while no round is being applied.
    pub(super) fn between_rounds(context: &Arc<Context>, exactness: &Arc<Exactness>) -> Self {
        let guard = context.store.key().between_rounds_guard();
        Self::guarded_by(guard, context, exactness)
    }

    fn guarded_by(guard: Guard, context: &Arc<Context>, exactness: &Arc<Exactness>) -> Self {
        Self {
            look_up: LookUp::new(context.source.clone()),
            writer: BatchWriter::new(context.destination.writer(guard)),
            context: context.clone(),
            exactness: exactness.clone(),
            freshness: Freshness::default(),
        }
    }

    /// See [`crate::mongo::GuardedWriter::settle`].
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        Ok(self.writer.settle().await?)
    }

    pub(super) async fn apply(&mut self, part: &Part) -> Result<(), Error> {
        if let Some(first) = part.events.first() {
            self.freshness.forget_before(first.time);
        }
        let mut folds = Vec::new();
        for (target, events) in by_target(part) {
            if target.serial || has_ambiguous_key(part, &events)? {
                for run in events.chunk_by(|a, b| same_section(a.op_type, b.op_type)) {
                    let fold = self.fold(part, target, run).await?;
                    self.write(vec![fold], last_time(run)).await?;
                }
            } else {
                let mut fold = self.fold(part, target, &events).await?;
                // Neighbours share pages of the destination's storage, which it would otherwise
                // bring in, change and compress once for each.
                fold.slots.sort_by_cached_key(|slot| slot.key.place());
                folds.push(fold);
            }
        }
        let newest = part.events.iter().map(|event| event.time).max();
        self.write(folds, newest.unwrap_or_default()).await
    }

    async fn fold<'a, 't>(
        &self,
        part: &'a Part,
        target: &'t Target,
        events: &[&'a EventRef],
    ) -> Result<Fold<'a, 't>, Error> {
        let mut slots = coalesce(part, events, target, &self.exactness, &self.freshness)?;
        self.transform(target, &mut slots).await?;
        Ok(Fold { target, slots })
    }

    /// Writes all folds, and what the source holds now for the slots that ask for it.
    async fn write(
        &mut self,
        mut folds: Vec<Fold<'_, '_>>,
        at_least: ClusterTime,
    ) -> Result<(), Error> {
        self.writer.write(&mut folds).await?;
        for Fold { target, mut slots } in folds {
            self.look_up(target, &mut slots, at_least).await?;
        }
        Ok(())
    }

    /// Writes what the source holds now for the slots that ask for it.
    pub(super) async fn look_up(
        &mut self,
        target: &Target,
        slots: &mut [Slot<'_>],
        at_least: ClusterTime,
    ) -> Result<(), Error> {
        let mut wanted: Vec<_> = slots.iter_mut().filter(|slot| slot.look_up).collect();
        while !wanted.is_empty() {
            let rest = wanted.split_off(self.look_up.chunk().min(wanted.len()));
            let time = self.look_up.fill(target, &mut wanted, at_least).await?;
            let mut slots: Vec<Slot<'_>> = wanted.into_iter().map(Slot::take).collect();
            self.transform(target, &mut slots).await?;
            let mut found = [Fold { target, slots }];
            self.writer.write(&mut found).await?;
            for slot in found.iter().flat_map(|fold| &fold.slots) {
                if let Some(time) = time {
                    self.freshness
                        .remember(&self.exactness, target.uuid, slot.key.clone(), time);
                }
            }
            wanted = rest;
        }
        Ok(())
    }

    /// Asks the collection's plugins about every document that is to be written whole.
    async fn transform(&self, target: &Target, slots: &mut [Slot<'_>]) -> Result<(), Error> {
        let Some(chain) = &target.chain else {
            return Ok(());
        };
        let (quarantine, status) = (&self.context.quarantine, &self.context.status);
        let namespace_id = target.namespace_id();
        let judged = slots.iter().filter(|slot| !slot.look_up);
        let keys = judged.map(|slot| &slot.key);
        quarantine.release(status, &namespace_id, keys).await?;
        let (places, documents): (Vec<_>, Vec<_>) = slots
            .iter()
            .enumerate()
            .filter_map(|(at, slot)| slot.whole().map(|document| (at, document)))
            .unzip();
        let transformed = pipeline::transform(chain, &documents)?;
        for (at, outcome) in places.into_iter().zip(transformed.outcomes()) {
            let Some(slot) = slots.get_mut(at) else {
                continue;
            };
            match outcome {
                Outcome::Keep => {}
                Outcome::Replaced(replacement) => slot.replace(replacement),
                Outcome::Drop => slot.leave_out(),
                Outcome::Quarantined(fault) => {
                    let origin = Origin {
                        namespace_id: &namespace_id,
                        source: &target.source,
                    };
                    let document = slot.whole().unwrap_or_default();
                    quarantine.put(status, origin, document, fault).await?;
                    slot.leave_out();
                }
            }
        }
        Ok(())
    }
}

fn last_time(events: &[&EventRef]) -> ClusterTime {
    events.last().map(|event| event.time).unwrap_or_default()
}

/// The events of each target, in order.
fn by_target(part: &Part) -> Vec<(&Target, Vec<&EventRef>)> {
    let mut groups: Vec<(&Target, Vec<&EventRef>)> = Vec::new();
    let mut last = 0;
    for event in &part.events {
        let is_of =
            |group: &(&Target, Vec<&EventRef>)| std::ptr::eq(group.0, &raw const *event.target);
        if !groups.get(last).is_some_and(is_of) {
            last = groups.iter().position(is_of).unwrap_or(groups.len());
        }
        match groups.get_mut(last) {
            Some((_, events)) => events.push(event),
            None => groups.push((&event.target, vec![event])),
        }
    }
    groups
}

/// True if different keys among the events can be one `_id`, so that their order matters.
fn has_ambiguous_key(part: &Part, events: &[&EventRef]) -> Result<bool, Error> {
    for event in events {
        let (id_kind, id) = part.id(event)?;
        if DocumentKey::can_be_ambiguous(id_kind) && DocumentKey::new(id_kind, id).is_ambiguous() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True if two neighbouring events may be in one fold where order matters.
fn same_section(a: OpType, b: OpType) -> bool {
    let section = |op_type| match op_type {
        OpType::Insert => 0,
        OpType::Delete => 2,
        _ => 1,
    };
    section(a) == section(b)
}
