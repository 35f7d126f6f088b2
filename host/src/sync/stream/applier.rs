//! An applier: it writes its events of every round to the destination.
//!
//! An applier has all events of a document, in order. It writes inserts, then updates, then deletes
//! in guarded transactions (`batch_writer`), and looks up the remaining documents on the source. A
//! transaction is applied exactly once, so a delta never meets a document that already has it. A
//! document that a replay may find on the destination is written as a replacement from the start.

use std::{collections::HashSet, sync::Arc};

use super::{
    Context, Error,
    batch_writer::BatchWriter,
    freshness::{Exactness, Freshness},
    lookup::{LookUpReader, LookUpResult, LookUpTime},
    pending_write::{Fold, PendingDocument, PendingWrite, fold_events},
    round::{EventRef, RoundPart},
    tracked_collections::TrackedCollection,
};
use crate::{
    model::{ClusterTime, document_key::DocumentKey, event::OpType},
    mongo::Guard,
    plugin::{Fault, Outcome},
    sync::{quarantine::NamespaceRef, transformation},
};

/// Applies events of its documents, and looks up documents of a quarantine retry.
pub(super) struct Applier {
    context: Arc<Context>,
    exactness: Arc<Exactness>,
    freshness: Freshness,
    look_up: LookUpReader,
    writer: BatchWriter,
}

impl Applier {
    /// The applier of rounds with this number.
    pub(super) fn numbered(
        number: usize,
        context: &Arc<Context>,
        exactness: &Arc<Exactness>,
    ) -> Self {
        let guard = context.store.key().applier_guard(number);
        Self::guarded_by(guard, context, exactness)
    }

    /// The applier for writes while no round is being applied.
    pub(super) fn between_rounds(context: &Arc<Context>, exactness: &Arc<Exactness>) -> Self {
        let guard = context.store.key().between_rounds_guard();
        Self::guarded_by(guard, context, exactness)
    }

    fn guarded_by(guard: Guard, context: &Arc<Context>, exactness: &Arc<Exactness>) -> Self {
        Self {
            look_up: LookUpReader::new(context.source.clone(), context.look_up_budget.clone()),
            writer: BatchWriter::new(context.clone(), guard),
            context: context.clone(),
            exactness: exactness.clone(),
            freshness: Freshness::default(),
        }
    }

    /// See [`crate::mongo::GuardedWriter::settle`].
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        Ok(self.writer.settle().await?)
    }

    /// Applies a part of a round. On return its events are durable on a majority.
    pub(super) async fn apply(&mut self, part: &RoundPart) -> Result<(), Error> {
        if let Some(first) = part.events.first() {
            self.freshness.forget_before(first.time);
        }
        let mut folds = Vec::new();
        let groups = by_collection(part);
        let counts: Vec<_> = groups
            .iter()
            .map(|(tracked, events)| (&tracked.source, events.len() as u64))
            .collect();
        for (tracked, events) in groups {
            let ambiguous = has_ambiguous_key(part, &events)?;
            let (strict, free): (Vec<_>, Vec<_>) = events
                .into_iter()
                .partition(|event| ambiguous || tracked.is_strict(event.id_kind));
            for run in runs(&strict) {
                if ambiguous {
                    // An event of one key changes the document that was looked up under another.
                    self.freshness.forget(&self.exactness);
                }
                let fold = self.fold(part, tracked, &run).await?;
                let time = LookUpTime::within(last_time(&run), part.until);
                self.write(vec![fold], time).await?;
            }
            let mut fold = self.fold(part, tracked, &free).await?;
            // Neighbours share pages of the destination's storage, which would otherwise be read,
            // changed and compressed once for each document.
            fold.entries.sort_by_cached_key(|entry| entry.key.place());
            folds.push(fold);
        }
        let newest = part.events.iter().map(|event| event.time).max();
        let time = LookUpTime::within(newest.unwrap_or_default(), part.until);
        self.write(folds, time).await?;
        for (source, documents) in counts {
            self.context.status.collections.written(source, documents);
        }
        Ok(())
    }

    async fn fold<'a, 't>(
        &self,
        part: &'a RoundPart,
        tracked: &'t TrackedCollection,
        events: &[&'a EventRef],
    ) -> Result<Fold<'a, 't>, Error> {
        let mut entries = fold_events(part, events, tracked, &self.exactness, &self.freshness)?;
        self.transform(tracked, &mut entries).await?;
        Ok(Fold { tracked, entries })
    }

    /// Writes all folds, and looks up the entries that ask for it.
    async fn write(&mut self, mut folds: Vec<Fold<'_, '_>>, time: LookUpTime) -> Result<(), Error> {
        self.writer.write(&mut folds).await?;
        for Fold {
            tracked,
            mut entries,
        } in folds
        {
            self.look_up(tracked, &mut entries, time).await?;
        }
        Ok(())
    }

    /// Looks up the entries that ask for it, and writes the source's documents.
    pub(super) async fn look_up(
        &mut self,
        tracked: &TrackedCollection,
        entries: &mut [PendingDocument<'_>],
        time: LookUpTime,
    ) -> Result<(), Error> {
        let wanted = entries.iter_mut().filter(|entry| entry.write.is_look_up());
        let (mut strict, mut free): (Vec<_>, Vec<_>) =
            wanted.partition(|entry| tracked.is_strict(entry.id_kind));
        for wanted in [&mut strict, &mut free] {
            while !wanted.is_empty() {
                self.look_up_some(tracked, wanted, time, |_| true).await?;
                wanted.retain(|entry| entry.write.is_look_up());
            }
        }
        Ok(())
    }

    /// Looks up the first of `wanted`, and writes those for which `writes` holds.
    pub(super) async fn look_up_some(
        &mut self,
        tracked: &TrackedCollection,
        wanted: &mut [&mut PendingDocument<'_>],
        time: LookUpTime,
        writes: impl Fn(&PendingWrite<'_>) -> bool,
    ) -> Result<(), Error> {
        let is_newest = time.is_newest();
        let LookUpResult {
            time,
            newest,
            is_gone,
            _share,
        } = self.look_up.fill(tracked, wanted, time).await?;
        if let Some(newest) = newest {
            self.exactness.note(newest);
        }
        let found = wanted.iter_mut().filter(|entry| !entry.write.is_look_up());
        let mut entries: Vec<PendingDocument<'_>> = found.map(|entry| entry.take()).collect();
        entries.retain(|entry| writes(&entry.write));
        if is_gone && is_newest {
            // The drop follows in the stream. Deletes before it have no effect that stays, and an earlier host may have
            // dropped the collection on the destination without a record, where they would be refused by its UUID.
            entries.clear();
        }
        self.transform(tracked, &mut entries).await?;
        let mut found = [Fold { tracked, entries }];
        self.writer.write(&mut found).await?;
        for entry in found.iter().flat_map(|fold| &fold.entries) {
            if let Some(time) = time {
                self.freshness
                    .remember(&self.exactness, tracked.uuid, entry.key.clone(), time);
            }
        }
        Ok(())
    }

    /// Runs every document that is to be written whole through the collection's plugins.
    async fn transform(
        &self,
        tracked: &TrackedCollection,
        entries: &mut [PendingDocument<'_>],
    ) -> Result<(), Error> {
        let Some(chain) = &tracked.chain else {
            return Ok(());
        };
        let (places, documents): (Vec<_>, Vec<_>) = entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| entry.write.whole().map(|document| (at, document)))
            .unzip();
        let transformed = transformation::transform(chain, &documents)?;
        let judged = places.iter().zip(&documents).zip(transformed.outcomes());
        let faulty: Vec<_> = judged
            .filter_map(|((at, document), outcome)| match outcome {
                Outcome::Quarantined(fault) => Some((*at, (*document, fault))),
                _ => None,
            })
            .collect();
        self.update_quarantine(tracked, entries, faulty).await?;
        for (at, outcome) in places.into_iter().zip(transformed.outcomes()) {
            let Some(entry) = entries.get_mut(at) else {
                continue;
            };
            match outcome {
                Outcome::Keep => {}
                Outcome::Replaced(replacement) => entry.write.replace(replacement),
                Outcome::Drop | Outcome::Quarantined(_) => entry.write.leave_out(),
            }
        }
        Ok(())
    }

    /// Brings the quarantine to the plugins' latest answers: `faulty` documents, by the index of
    /// their entry, are quarantined, and the other entries are released. An entry that stays is
    /// never missing in between.
    async fn update_quarantine(
        &self,
        tracked: &TrackedCollection,
        entries: &[PendingDocument<'_>],
        faulty: Vec<(usize, (&[u8], &Fault))>,
    ) -> Result<(), Error> {
        let (quarantine, status) = (&self.context.quarantine, &self.context.status);
        let namespace_id = tracked.namespace_id();
        let namespace_ref = NamespaceRef {
            namespace_id: &namespace_id,
            source: &tracked.source,
        };
        let (places, faulty): (HashSet<_>, Vec<_>) = faulty.into_iter().unzip();
        quarantine.put(status, namespace_ref, &faulty).await?;
        let judged = entries.iter().enumerate();
        let well = judged.filter(|(at, entry)| !entry.write.is_look_up() && !places.contains(at));
        let keys = well.map(|(_, entry)| &entry.key);
        quarantine.release(status, &namespace_id, keys).await
    }
}

fn last_time(events: &[&EventRef]) -> ClusterTime {
    events.last().map(|event| event.time).unwrap_or_default()
}

/// The events of each collection, in order.
fn by_collection(part: &RoundPart) -> Vec<(&TrackedCollection, Vec<&EventRef>)> {
    let mut groups: Vec<(&TrackedCollection, Vec<&EventRef>)> = Vec::new();
    let mut last = 0;
    for event in &part.events {
        let is_of = |group: &(&TrackedCollection, Vec<&EventRef>)| {
            std::ptr::eq(group.0, &raw const *event.tracked)
        };
        if !groups.get(last).is_some_and(is_of) {
            last = groups.iter().position(is_of).unwrap_or(groups.len());
        }
        match groups.get_mut(last) {
            Some((_, events)) => events.push(event),
            None => groups.push((&event.tracked, vec![event])),
        }
    }
    groups
}

/// Whether different keys among the events can be one `_id`, so that their order matters.
fn has_ambiguous_key(part: &RoundPart, events: &[&EventRef]) -> Result<bool, Error> {
    for event in events {
        let (id_kind, id) = part.id(event)?;
        if DocumentKey::can_be_ambiguous(id_kind) && DocumentKey::new(id_kind, id).is_ambiguous() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Splits events whose order matters into runs, each of which can be one fold: inserts come before
/// changes of documents, since only a delete frees an `_id` or a place. An oversize event is a run of its own:
/// look-ups are written after everything else of a run.
fn runs<'e>(events: &[&'e EventRef]) -> Vec<Vec<&'e EventRef>> {
    let is = |event: &EventRef, op_type| event.op_type == op_type;
    let mut runs = Vec::new();
    let are_one_run = |a: &&EventRef, b: &&EventRef| {
        is(a, OpType::Delete) == is(b, OpType::Delete) && !a.is_oversize() && !b.is_oversize()
    };
    for run in events.chunk_by(are_one_run) {
        let (inserts, others): (Vec<_>, Vec<_>) = run
            .iter()
            .copied()
            .partition(|event| is(event, OpType::Insert));
        runs.extend([inserts, others].into_iter().filter(|run| !run.is_empty()));
    }
    runs
}
