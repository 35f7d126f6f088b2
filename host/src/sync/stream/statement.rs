//! The commands of a transaction: which statements of which slots each holds.

use super::pending_write::{Fold, PendingWrite, Slot};
use crate::{
    model::raw::kind,
    mongo::{
        self,
        write::{Command, MAX_STATEMENTS, WriteCommand, empty_timestamps, write_query},
    },
};

/// Bytes of statements in a command at most; one that is larger goes alone.
const MAX_BYTES: usize = 15 << 20;

/// Types of `_id`s that are deleted by one statement, of which the server makes one plan.
const LISTED: [u8; 7] = [
    kind::INT32,
    kind::INT64,
    kind::OBJECT_ID,
    kind::STRING,
    kind::BINARY,
    kind::DATE,
    kind::TIMESTAMP,
];

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Update,
    Delete,
}

/// What one statement does with its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Insert,
    Put,
    Delta(usize),
    Delete,
}

/// A slot, by the places of its fold and of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) fold: usize,
    pub(super) slot: usize,
}

/// One statement of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) place: Place,
    pub(super) part: Part,
}

/// One command of a transaction, on one collection.
#[derive(Debug)]
pub(super) struct CommandPlan {
    fold: usize,
    kind: Kind,
    pub(super) statements: Vec<Statement>,
    bytes: usize,
}

/// The commands that write the slots at `places`, in that order; documents that are inserted
/// anew come last, after they were deleted.
pub(super) fn plan(folds: &[Fold<'_, '_>], places: &[Place]) -> Vec<CommandPlan> {
    let mut plan = Plan::default();
    for place in places {
        if let Some(slot) = slot(folds, *place) {
            plan.push_slot(*place, slot);
        }
    }
    let reinserted = || {
        let with_slot = places
            .iter()
            .filter_map(|place| Some((*place, slot(folds, *place)?)));
        with_slot.filter(|(_, slot)| slot.reinsert && !slot.write.is_look_up())
    };
    for (place, slot) in reinserted() {
        let part = Part::Delete;
        plan.push(Kind::Delete, Statement { place, part }, slot.bytes());
    }
    for (place, slot) in reinserted() {
        let (kind, part) = match slot.write.whole().is_none_or(empty_timestamps::is_kept) {
            true => (Kind::Insert, Part::Insert),
            false => (Kind::Update, Part::Put),
        };
        plan.push(kind, Statement { place, part }, slot.bytes());
    }
    plan.commands
}

pub(super) fn slot<'f, 'a>(folds: &'f [Fold<'a, '_>], place: Place) -> Option<&'f Slot<'a>> {
    folds.get(place.fold)?.slots.get(place.slot)
}

/// Inserts, then updates, then deletes; `None` for a slot that writes nothing.
pub(super) fn section(slot: &Slot<'_>) -> Option<Kind> {
    match &slot.write {
        PendingWrite::Insert { document, deltas }
            if !slot.replay && deltas.is_empty() && empty_timestamps::is_kept(document) =>
        {
            Some(Kind::Insert)
        }
        PendingWrite::Insert { .. } | PendingWrite::Put { .. } => Some(Kind::Update),
        PendingWrite::Deltas(deltas) if deltas.is_empty() => None,
        PendingWrite::Deltas(_) => Some(Kind::Update),
        PendingWrite::Delete => Some(Kind::Delete),
        PendingWrite::LookUp => None,
    }
}

#[derive(Default)]
struct Plan {
    commands: Vec<CommandPlan>,
}

impl Plan {
    fn push_slot(&mut self, place: Place, slot: &Slot<'_>) {
        let (Some(kind), false) = (section(slot), slot.reinsert) else {
            return;
        };
        let bytes = slot.bytes();
        let mut push = |part, bytes| self.push(kind, Statement { place, part }, bytes);
        match kind {
            Kind::Insert => push(Part::Insert, bytes),
            Kind::Delete => push(Part::Delete, bytes),
            Kind::Update => {
                if slot.write.whole().is_some() {
                    push(Part::Put, bytes);
                }
                for at in 0..slot.write.deltas().len() {
                    push(Part::Delta(at), bytes);
                }
            }
        }
    }

    fn push(&mut self, kind: Kind, statement: Statement, bytes: usize) {
        let fold = statement.place.fold;
        let fits = |command: &&mut CommandPlan| {
            command.fold == fold
                && command.kind == kind
                && command.statements.len() < MAX_STATEMENTS
                && command.bytes + bytes < MAX_BYTES
        };
        if let Some(command) = self.commands.last_mut().filter(fits) {
            command.statements.push(statement);
            command.bytes += bytes;
            return;
        }
        self.commands.push(CommandPlan {
            fold,
            kind,
            statements: vec![statement],
            bytes,
        });
    }
}

impl CommandPlan {
    pub(super) fn build(&self, folds: &[Fold<'_, '_>]) -> Result<Command, mongo::Error> {
        let fold = folds.get(self.fold).ok_or(mongo::Error::Reply("fold"))?;
        let collection = &fold.target.collection;
        let mut command = match self.kind {
            Kind::Insert => WriteCommand::insert(collection),
            Kind::Update => WriteCommand::update(collection),
            Kind::Delete => WriteCommand::delete(collection),
        }
        .expecting(self.bytes);
        let slots = self.statements.iter();
        let slots = slots.filter_map(|one| Some((slot(folds, one.place)?, one.part)));
        // A clustered collection is scanned for a list, from its first `_id` to its last one.
        let lists = self.kind == Kind::Delete && !fold.target.clustered;
        let is_listed = |slot: &Slot<'_>| lists && LISTED.contains(&slot.id_kind);
        for (slot, part) in slots.clone().filter(|(slot, _)| !is_listed(slot)) {
            write(&mut command, slot, part)?;
        }
        let listed = slots.filter(|(slot, _)| is_listed(slot));
        let mut listed = listed.map(|(slot, _)| (slot.id_kind, slot.id)).peekable();
        if listed.peek().is_some() {
            command.push_delete_of(listed);
        }
        command.into_command()
    }
}

fn write(command: &mut WriteCommand, slot: &Slot<'_>, part: Part) -> Result<(), mongo::Error> {
    match part {
        Part::Insert => command.push(slot.write.whole().ok_or(MISPLACED)?),
        Part::Put => {
            let document = slot.write.whole().ok_or(MISPLACED)?;
            command.push_replacement(slot.id_kind, slot.id, document);
        }
        Part::Delta(at) => {
            let delta = slot.write.deltas().get(at).ok_or(MISPLACED)?;
            command.push_with(|writer| {
                write_query(writer, slot.id_kind, slot.id);
                delta.write(writer);
            });
        }
        Part::Delete => command.push_delete(slot.id_kind, slot.id),
    }
    Ok(())
}

const MISPLACED: mongo::Error = mongo::Error::Broken("each statement has its part of a slot");
