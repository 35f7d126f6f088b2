//! The commands of a transaction, and the statements of each.

use super::pending_write::{Fold, PendingDocument, PendingWrite};
use crate::{
    model::raw::kind,
    mongo::{
        self,
        write::{Command, MAX_STATEMENTS, WriteCommand, empty_timestamps, write_query},
    },
};

/// The most bytes of statements in a command. A larger statement goes alone.
const MAX_BYTES: usize = 15 << 20;

/// Types of `_id`s that a single delete statement lists, for which the server makes a single plan.
const LISTED: [u8; 7] = [
    kind::INT32,
    kind::INT64,
    kind::OBJECT_ID,
    kind::STRING,
    kind::BINARY,
    kind::DATE,
    kind::TIMESTAMP,
];

/// The kind of a write command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandKind {
    Insert,
    Update,
    Delete,
}

/// The kind of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatementKind {
    Insert,
    Put,
    Delta(usize),
    Delete,
}

/// A document, by the index of its fold and of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DocumentPlace {
    /// The index of the fold.
    pub(super) fold: usize,
    /// The index of the entry in its fold.
    pub(super) entry: usize,
}

/// A statement of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// The document.
    pub(super) place: DocumentPlace,
    /// The part of the document's pending write.
    pub(super) part: StatementKind,
}

/// A command of a transaction, on one collection.
#[derive(Debug)]
pub(super) struct CommandPlan {
    fold: usize,
    kind: CommandKind,
    /// In the order of their statements in the command. Deletes that are listed share the last statement.
    pub(super) statements: Vec<Statement>,
    bytes: usize,
}

/// The commands that write the entries at `places`, in that order. Documents that are inserted
/// again come last, after their delete.
pub(super) fn plan(folds: &[Fold<'_, '_>], places: &[DocumentPlace]) -> Vec<CommandPlan> {
    let mut plan = CommandPlanner::default();
    for place in places {
        if let Some(entry) = entry(folds, *place) {
            plan.push_entry(*place, entry);
        }
    }
    let reinserted = || {
        let with_entry = places
            .iter()
            .filter_map(|place| Some((*place, entry(folds, *place)?)));
        with_entry.filter(|(_, entry)| entry.reinsert && !entry.write.is_look_up())
    };
    for (place, entry) in reinserted() {
        debug_assert!(
            entry.write.deltas().is_empty(),
            "a reinsertion has no statements for deltas"
        );
        let part = StatementKind::Delete;
        plan.push(
            CommandKind::Delete,
            Statement { place, part },
            entry.bytes(),
        );
    }
    for (place, entry) in reinserted() {
        let (kind, part) = match entry
            .write
            .whole()
            .is_none_or(empty_timestamps::is_preserved)
        {
            true => (CommandKind::Insert, StatementKind::Insert),
            false => (CommandKind::Update, StatementKind::Put),
        };
        plan.push(kind, Statement { place, part }, entry.bytes());
    }
    plan.commands
}

/// The entry at `place`.
pub(super) fn entry<'f, 'a>(
    folds: &'f [Fold<'a, '_>],
    place: DocumentPlace,
) -> Option<&'f PendingDocument<'a>> {
    folds.get(place.fold)?.entries.get(place.entry)
}

/// The kind of command for an entry; `None` for an entry that writes nothing.
pub(super) fn command_kind(entry: &PendingDocument<'_>) -> Option<CommandKind> {
    match &entry.write {
        PendingWrite::Insert { document, deltas }
            if !entry.replay && deltas.is_empty() && empty_timestamps::is_preserved(document) =>
        {
            Some(CommandKind::Insert)
        }
        PendingWrite::Insert { .. } | PendingWrite::Put { .. } => Some(CommandKind::Update),
        PendingWrite::Deltas(deltas) if deltas.is_empty() => None,
        PendingWrite::Deltas(_) => Some(CommandKind::Update),
        PendingWrite::Delete => Some(CommandKind::Delete),
        PendingWrite::LookUp => None,
    }
}

#[derive(Default)]
struct CommandPlanner {
    commands: Vec<CommandPlan>,
}

impl CommandPlanner {
    fn push_entry(&mut self, place: DocumentPlace, entry: &PendingDocument<'_>) {
        let (Some(kind), false) = (command_kind(entry), entry.reinsert) else {
            return;
        };
        let bytes = entry.bytes();
        let mut push = |part, bytes| self.push(kind, Statement { place, part }, bytes);
        match kind {
            CommandKind::Insert => push(StatementKind::Insert, bytes),
            CommandKind::Delete => push(StatementKind::Delete, bytes),
            CommandKind::Update => {
                if entry.write.whole().is_some() {
                    push(StatementKind::Put, bytes);
                }
                for at in 0..entry.write.deltas().len() {
                    push(StatementKind::Delta(at), bytes);
                }
            }
        }
    }

    fn push(&mut self, kind: CommandKind, statement: Statement, bytes: usize) {
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
    /// The command. The planned entries must be unchanged.
    pub(super) fn build(&self, folds: &[Fold<'_, '_>]) -> Result<Command, mongo::Error> {
        let fold = folds.get(self.fold).ok_or(mongo::Error::Reply("fold"))?;
        let collection = &fold.tracked.collection;
        let mut command = match self.kind {
            CommandKind::Insert => WriteCommand::insert(collection),
            CommandKind::Update => WriteCommand::update(collection),
            CommandKind::Delete => WriteCommand::delete(collection),
        }
        .expecting(self.bytes);
        let entries = self.statements.iter();
        let entries = entries.filter_map(|one| Some((entry(folds, one.place)?, one.part)));
        // The server scans a clustered collection for a list, from its first `_id` to its last.
        let lists = self.kind == CommandKind::Delete && !fold.tracked.clustered;
        let is_listed = |entry: &PendingDocument<'_>| lists && LISTED.contains(&entry.id_kind);
        for (entry, part) in entries.clone().filter(|(entry, _)| !is_listed(entry)) {
            write(&mut command, entry, part)?;
        }
        let listed = entries.filter(|(entry, _)| is_listed(entry));
        let mut listed = listed
            .map(|(entry, _)| (entry.id_kind, entry.id))
            .peekable();
        if listed.peek().is_some() {
            command.push_delete_of(listed);
        }
        command.into_command()
    }
}

fn write(
    command: &mut WriteCommand,
    entry: &PendingDocument<'_>,
    part: StatementKind,
) -> Result<(), mongo::Error> {
    match part {
        StatementKind::Insert => command.push(entry.write.whole().ok_or(MISPLACED)?),
        StatementKind::Put => {
            let document = entry.write.whole().ok_or(MISPLACED)?;
            command.push_replacement(entry.id_kind, entry.id, document);
        }
        StatementKind::Delta(at) => {
            let delta = entry.write.deltas().get(at).ok_or(MISPLACED)?;
            command.push_with(|writer| {
                write_query(writer, entry.id_kind, entry.id);
                delta.write(writer);
            });
        }
        StatementKind::Delete => command.push_delete(entry.id_kind, entry.id),
    }
    Ok(())
}

const MISPLACED: mongo::Error = mongo::Error::Broken("each statement has its part of an entry");
