//! Writes to the destination in guarded transactions of bounded size.
//!
//! A transaction is bounded by bytes and, through the number of its statements, by time: a takeover
//! waits for an open transaction, and `pause` for the current one.
//!
//! Capped collections take no transactions. Their statements are sent in order, after a write of
//! the guard, and the collections are compared before commit.

use std::{sync::Arc, time::Duration};

use super::{
    Context, Error,
    pending_write::{Fold, PendingDocument, PendingWrite},
    statement::{
        CommandKind, CommandPlan, DocumentPlace, Statement, StatementKind, command_kind, entry,
        plan,
    },
};
use crate::{
    mongo::{
        self, Guard, GuardedWriter, Moment, TransactionOutcome, code, outage,
        write::{Outcome, StatementError},
    },
    sync::restore::index_refusal,
};

/// Statements of a writer's first transaction, and the most of any transaction.
const FIRST_STATEMENTS: usize = 64;
const MAX_STATEMENTS: usize = 2_000;
/// Bytes of documents in a transaction. A larger document goes alone.
const MAX_BYTES: usize = 8 << 20;
/// The aimed duration of a transaction.
const AIM: Duration = Duration::from_millis(500);
/// Deltas that the server may refuse individually, before all deltas of a transaction are looked
/// up.
const MAX_REFUSALS: usize = 4;

/// Writes the entries of an applier.
pub(super) struct BatchWriter {
    context: Arc<Context>,
    writer: GuardedWriter,
    /// The most statements of the next transaction. Follows the duration of the previous
    /// transactions.
    statements: usize,
}

impl BatchWriter {
    /// The writer of a guard document.
    pub(super) fn new(context: Arc<Context>, guard: Guard) -> Self {
        Self {
            writer: context.destination.writer(guard),
            context,
            statements: FIRST_STATEMENTS,
        }
    }

    /// See [`GuardedWriter::settle`].
    pub(super) async fn settle(&mut self) -> Result<(), mongo::Error> {
        self.writer.settle().await
    }

    /// Writes everything but look-ups. Entries whose deltas the destination refuses become
    /// look-ups.
    pub(super) async fn write(&mut self, folds: &mut [Fold<'_, '_>]) -> Result<(), Error> {
        let (capped, places) = places(folds);
        let mut rest = places.as_slice();
        let mut moved = Moment::now();
        while !rest.is_empty() {
            self.context.throttle.pace_apply().await;
            let (portion, unwritten) = rest.split_at(self.portion(folds, rest));
            if self.transact(folds, portion).await? {
                (rest, moved) = (unwritten, Moment::now());
            } else if moved.elapsed() > outage() {
                return Err(mongo::Error::Conflicts.into());
            }
        }
        self.write_capped(folds, capped).await
    }

    /// The number of `places` for the next transaction; at least 1.
    fn portion(&self, folds: &[Fold<'_, '_>], places: &[DocumentPlace]) -> usize {
        let (mut bytes, mut statements) = (0, 0);
        let fitting = places.iter().take_while(|place| {
            let entry = entry(folds, **place);
            bytes += entry.map_or(0, PendingDocument::bytes);
            statements += entry.map_or(0, |entry| entry.write.deltas().len().max(1));
            bytes <= MAX_BYTES && statements <= self.statements
        });
        fitting.count().max(1)
    }

    /// Writes the entries at `places` in one transaction. Returns `false` if they were too many for
    /// one transaction.
    async fn transact(
        &mut self,
        folds: &mut [Fold<'_, '_>],
        places: &[DocumentPlace],
    ) -> Result<bool, Error> {
        for refusals in 0.. {
            let plan = plan(folds, places);
            if plan.is_empty() {
                break;
            }
            let begun = Moment::now();
            let build = || plan.iter().map(|command| command.build(folds)).collect();
            match self.writer.transact(begun, build).await? {
                TransactionOutcome::Committed(outcomes) => {
                    let elapsed = begun.elapsed();
                    self.context.status.record_apply_latency(elapsed);
                    self.adapt(&plan, elapsed);
                    look_up_unmatched(folds, &plan, &outcomes);
                    break;
                }
                TransactionOutcome::Refused { command, error } => {
                    let refused = plan
                        .get(command)
                        .and_then(|plan| plan.statements.get(error.index));
                    let refused = *refused.ok_or(mongo::Error::Reply("writeErrors.index"))?;
                    if self
                        .drop_refusing_index(folds, refused, &error, refusals)
                        .await?
                    {
                        continue;
                    }
                    adapt_refused(folds, places, refused, error)?;
                    if refusals >= MAX_REFUSALS {
                        look_up_deltas(folds, places.iter().copied());
                    }
                }
                TransactionOutcome::TooLarge => {
                    self.statements = (self.statements / 2).max(1);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Drops an index that has refused a whole document; returns whether to send it again. A
    /// document with a refused delta is looked up first.
    async fn drop_refusing_index(
        &self,
        folds: &[Fold<'_, '_>],
        refused: Statement,
        error: &StatementError,
        attempts: usize,
    ) -> Result<bool, Error> {
        let fold = folds.get(refused.place.fold);
        match (refused.part, fold) {
            (StatementKind::Insert | StatementKind::Put, Some(fold)) => {
                let collection = &fold.tracked.collection;
                index_refusal::drop_refusing_index(
                    &self.context.destination,
                    collection,
                    error.code(),
                    attempts,
                )
                .await
            }
            _ => Ok(false),
        }
    }

    fn adapt(&mut self, plan: &[CommandPlan], took: Duration) {
        let statements: usize = plan.iter().map(|command| command.statements.len()).sum();
        let took = took.as_millis().max(1);
        let fitting = statements as u128 * AIM.as_millis() / took;
        let fitting = usize::try_from(fitting).unwrap_or(MAX_STATEMENTS);
        // A small transaction says little about a large one.
        self.statements = fitting.clamp(1, self.statements * 2).min(MAX_STATEMENTS);
    }

    async fn write_capped(
        &mut self,
        folds: &mut [Fold<'_, '_>],
        mut places: Vec<DocumentPlace>,
    ) -> Result<(), Error> {
        for attempts in 0.. {
            if places.is_empty() {
                break;
            }
            self.context.throttle.pace_apply().await;
            let plan = plan(folds, &places);
            let build = plan.iter().map(|command| command.build(folds));
            let commands = build.collect::<Result<Vec<_>, _>>()?;
            let outcomes = self.writer.send(commands).await?;
            let mut again = Vec::new();
            for (command, outcome) in plan.iter().zip(outcomes) {
                for error in outcome.errors {
                    let refused = command.statements.get(error.index);
                    let refused = *refused.ok_or(mongo::Error::Reply("writeErrors.index"))?;
                    if !self
                        .drop_refusing_index(folds, refused, &error, attempts)
                        .await?
                    {
                        adapt_refused(folds, &[refused.place], refused, error)?;
                    }
                    again.push(refused.place);
                }
            }
            places = again;
        }
        Ok(())
    }
}

/// The entries to write: of capped collections in the order of events, which is data; of other
/// collections inserts, then updates, then deletes.
fn places(folds: &[Fold<'_, '_>]) -> (Vec<DocumentPlace>, Vec<DocumentPlace>) {
    let (mut capped, mut others) = (Vec::new(), Vec::new());
    for (fold, Fold { tracked, entries }) in folds.iter().enumerate() {
        let kinds = entries.iter().enumerate();
        let kinds = kinds
            .filter_map(|(entry, it)| Some((DocumentPlace { fold, entry }, command_kind(it)?)));
        if tracked.capped {
            capped.extend(kinds.map(|(place, _)| place));
            continue;
        }
        for wanted in [
            CommandKind::Insert,
            CommandKind::Update,
            CommandKind::Delete,
        ] {
            let of_kind = kinds.clone().filter(|(_, kind)| *kind == wanted);
            others.extend(of_kind.map(|(place, _)| place));
        }
    }
    (capped, others)
}

/// Replaces a refused write by a write that the server accepts. The transaction has done nothing.
fn adapt_refused(
    folds: &mut [Fold<'_, '_>],
    places: &[DocumentPlace],
    refused: Statement,
    error: StatementError,
) -> Result<(), Error> {
    let Some(tracked) = folds.get(refused.place.fold).map(|fold| fold.tracked) else {
        return Ok(());
    };
    let entry = entry_mut(folds, refused.place);
    match (refused.part, entry) {
        // All inserts of the transaction become replacements, since each refusal costs a
        // transaction.
        (StatementKind::Insert, Some(entry))
            if !entry.reinsert && (error.is_duplicate() || tracked.clustered) =>
        {
            for place in places {
                if let Some(entry) = entry_mut(folds, *place) {
                    entry.replay = true;
                }
            }
        }
        // A reinsertion has no statements for the deltas after the document: the look-up gives a document with them.
        (StatementKind::Put, Some(entry))
            if code::NOT_AS_REPLACEMENT.contains(&error.code())
                && !entry.write.deltas().is_empty() =>
        {
            entry.write = PendingWrite::LookUp;
        }
        (StatementKind::Put, Some(entry)) if code::NOT_AS_REPLACEMENT.contains(&error.code()) => {
            entry.reinsert = true;
        }
        (StatementKind::Delta(_), Some(entry)) => entry.write = PendingWrite::LookUp,
        _ => return Err(error.refusal(&tracked.collection.namespace).into()),
    }
    Ok(())
}

/// Turns the deltas of a command into look-ups if it matched fewer documents than it has
/// statements: the reply does not tell which.
fn look_up_unmatched(folds: &mut [Fold<'_, '_>], plan: &[CommandPlan], outcomes: &[Outcome]) {
    for (command, outcome) in plan.iter().zip(outcomes) {
        if outcome.n < command.statements.len() as u64 {
            let deltas = command.statements.iter();
            let deltas =
                deltas.filter(|statement| matches!(statement.part, StatementKind::Delta(_)));
            look_up_deltas(folds, deltas.map(|statement| statement.place));
        }
    }
}

fn look_up_deltas(folds: &mut [Fold<'_, '_>], places: impl Iterator<Item = DocumentPlace>) {
    for place in places {
        let entry = entry_mut(folds, place);
        if let Some(entry) = entry.filter(|entry| !entry.write.deltas().is_empty()) {
            entry.write = PendingWrite::LookUp;
        }
    }
}

fn entry_mut<'f, 'a>(
    folds: &'f mut [Fold<'a, '_>],
    place: DocumentPlace,
) -> Option<&'f mut PendingDocument<'a>> {
    folds.get_mut(place.fold)?.entries.get_mut(place.entry)
}
