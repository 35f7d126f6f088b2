//! An applier takes its events of every round and writes them to the destination.
//!
//! An applier has all events of a document, in order. It writes a fold's
//! inserts, then its updates, then its deletes, each as batched commands, and
//! then what has to be looked up on the source. Inserts that meet a document
//! that is there become replacements. Deltas are sent once: when a command that
//! holds deltas fails, or does not match all of them, their documents are
//! looked up, since a delta that is repeated may move a field.

use std::sync::Arc;

use super::{
    Context, Error,
    coalesce::{Base, Slot, coalesce},
    freshness::{Exactness, Freshness},
    lookup::LookUp,
    round::{EventRef, Part},
    statement::{Statement, push_updates, write_delete},
    targets::Target,
};
use crate::{
    model::{ClusterTime, ErrorKind, document_key::DocumentKey, event::OpType},
    mongo::{
        DestinationDatabase, code,
        write::{self, StatementError, WriteCommand},
    },
    plugin::Outcome,
    sync::{pipeline, quarantine::Origin},
};

/// About what a statement takes beside its document.
const FRAME: usize = 16;

/// Applies events of its documents; also what a retry looks up anew.
pub(super) struct Applier {
    context: Arc<Context>,
    exactness: Arc<Exactness>,
    freshness: Freshness,
    look_up: LookUp,
}

impl Applier {
    pub(super) fn new(context: Arc<Context>, exactness: Arc<Exactness>) -> Self {
        let look_up = LookUp::new(context.source.clone());
        Self {
            context,
            exactness,
            freshness: Freshness::default(),
            look_up,
        }
    }

    pub(super) async fn apply(&mut self, part: &Part) -> Result<(), Error> {
        if let Some(first) = part.events.first() {
            self.freshness.forget_before(first.time);
        }
        for (target, events) in by_target(part) {
            if target.serial || has_ambiguous_key(part, &events)? {
                for run in events.chunk_by(|a, b| same_section(a.op_type, b.op_type)) {
                    self.apply_fold(part, target, run).await?;
                }
            } else {
                self.apply_fold(part, target, &events).await?;
            }
        }
        Ok(())
    }

    async fn apply_fold(
        &mut self,
        part: &Part,
        target: &Target,
        events: &[&EventRef],
    ) -> Result<(), Error> {
        let mut slots = coalesce(part, events, target, &self.exactness, &self.freshness)?;
        self.transform(target, &mut slots).await?;
        self.insert(target, &mut slots).await?;
        self.update(target, &mut slots).await?;
        self.delete(target, &slots).await?;
        let at_least = events.last().map(|event| event.time).unwrap_or_default();
        self.look_up(target, &mut slots, at_least).await
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
            let mut found: Vec<Slot<'_>> = wanted.into_iter().map(Slot::take).collect();
            self.transform(target, &mut found).await?;
            self.update(target, &mut found).await?;
            self.delete(target, &found).await?;
            for slot in &found {
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

    async fn insert(&self, target: &Target, slots: &mut [Slot<'_>]) -> Result<(), Error> {
        let new = |slot: &Slot<'_>| match &slot.base {
            Base::Insert(document) if !slot.look_up => Some(document.len()),
            _ => None,
        };
        let expected = slots
            .iter()
            .filter_map(new)
            .map(|bytes| bytes + FRAME)
            .sum();
        let mut at = 0;
        while at < slots.len() {
            let mut command =
                WriteCommand::insert(&target.destination.collection).expecting(expected);
            let mut sent = Vec::new();
            while let Some(slot) = slots.get(at) {
                match (new(slot), &slot.base) {
                    (Some(bytes), Base::Insert(document)) if command.has_room_for(bytes) => {
                        command.push(document);
                        sent.push(at);
                    }
                    (Some(_), _) => break,
                    (None, _) => {}
                }
                at += 1;
            }
            let refused: Vec<usize> = match command.send_once(&self.database(target)).await {
                // Replacements can be repeated, whatever was done.
                Err(error) if error.kind() == ErrorKind::Transient => sent,
                outcome => {
                    let outcome = outcome?;
                    if !target.clustered {
                        outcome.refuse_but_duplicates(&target.destination)?;
                    }
                    let sent = |error: &StatementError| sent.get(error.index).copied();
                    outcome.errors.iter().filter_map(sent).collect()
                }
            };
            for at in refused {
                if let Some(slot) = slots.get_mut(at) {
                    slot.put_instead();
                }
            }
        }
        Ok(())
    }

    /// Sends replacements and deltas. Slots whose deltas may not have been applied are marked to be looked up.
    async fn update(&self, target: &Target, slots: &mut [Slot<'_>]) -> Result<(), Error> {
        let mut expected = 0;
        for slot in slots.iter().filter(|slot| !slot.look_up) {
            expected += slot.update_bytes();
        }
        let mut command = WriteCommand::update(&target.destination.collection).expecting(expected);
        let mut statements = Vec::new();
        for at in 0..slots.len() {
            let Some(slot) = slots.get(at).filter(|slot| !slot.look_up) else {
                continue;
            };
            let bytes = slot.update_bytes();
            if !command.has_room_for(bytes) {
                let full = std::mem::replace(
                    &mut command,
                    WriteCommand::update(&target.destination.collection),
                );
                self.send_updates(target, full, std::mem::take(&mut statements), slots)
                    .await?;
            }
            if let Some(slot) = slots.get(at) {
                push_updates(&mut command, &mut statements, slot, at);
            }
        }
        self.send_updates(target, command, statements, slots).await
    }

    async fn send_updates(
        &self,
        target: &Target,
        command: WriteCommand,
        statements: Vec<Statement>,
        slots: &mut [Slot<'_>],
    ) -> Result<(), Error> {
        let database = self.database(target);
        let expected = command.statements() as u64;
        let has_deltas = statements.iter().any(|statement| statement.is_delta);
        let outcome = if has_deltas {
            command.send_once(&database).await
        } else {
            command.send(&database).await
        };
        let mut outcome = match outcome {
            Err(error) if has_deltas && error.kind() == ErrorKind::Transient => {
                tracing::info!(error = %error, "looking documents up after an interrupted write");
                mark(slots, statements.iter().map(|statement| statement.slot));
                return Ok(());
            }
            other => other?,
        };
        self.replace_by_insert(target, &mut outcome, &statements, slots)
            .await?;
        let is_delta = |at: usize| {
            statements
                .get(at)
                .is_some_and(|statement| statement.is_delta)
        };
        outcome.errors.retain(|error| !is_delta(error.index));
        outcome.refuse_any(&target.destination)?;
        if outcome.n < expected {
            mark(
                slots,
                statements
                    .iter()
                    .filter(|statement| statement.is_delta)
                    .map(|statement| statement.slot),
            );
        }
        Ok(())
    }

    /// Deletes and inserts what the server does not take as a replacement: a
    /// document with another `_id` that is equal under the collation, one of
    /// another size in a capped collection, and names that begin with a dollar.
    async fn replace_by_insert(
        &self,
        target: &Target,
        outcome: &mut write::Outcome,
        statements: &[Statement],
        slots: &[Slot<'_>],
    ) -> Result<(), Error> {
        for error in outcome
            .errors
            .extract_if(.., |error| code::NOT_AS_REPLACEMENT.contains(&error.code))
        {
            let slot = statements
                .get(error.index)
                .and_then(|statement| slots.get(statement.slot));
            let Some(Slot {
                id_kind,
                id,
                base: Base::Put(document),
                ..
            }) = slot
            else {
                continue;
            };
            let mut delete = WriteCommand::delete(&target.destination.collection);
            delete.push_with(|writer| write_delete(writer, *id_kind, id));
            delete.send(&self.database(target)).await?;
            let mut insert = WriteCommand::insert(&target.destination.collection);
            insert.push(document);
            insert
                .send(&self.database(target))
                .await?
                .refuse_but_duplicates(&target.destination)?;
        }
        Ok(())
    }

    async fn delete(&self, target: &Target, slots: &[Slot<'_>]) -> Result<(), Error> {
        let mut command = WriteCommand::delete(&target.destination.collection);
        for slot in slots
            .iter()
            .filter(|slot| !slot.look_up && matches!(slot.base, Base::Delete))
        {
            if !command.has_room_for(slot.id.len()) {
                let full = std::mem::replace(
                    &mut command,
                    WriteCommand::delete(&target.destination.collection),
                );
                full.send(&self.database(target))
                    .await?
                    .refuse_any(&target.destination)?;
            }
            command.push_with(|writer| write_delete(writer, slot.id_kind, slot.id));
        }
        command
            .send(&self.database(target))
            .await?
            .refuse_any(&target.destination)?;
        Ok(())
    }

    fn database(&self, target: &Target) -> DestinationDatabase {
        self.context
            .destination
            .database(&target.destination.database)
    }
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

fn mark(slots: &mut [Slot<'_>], at: impl Iterator<Item = usize>) {
    for at in at {
        if let Some(slot) = slots.get_mut(at) {
            slot.look_up = true;
        }
    }
}
