//! Change event application: one change stream, read in order, applied by several appliers.
//!
//! ```text
//! reader -> rounds -> appliers (by hash of collection and document key) -> destination
//! ```
//!
//! A batch of the stream becomes a *round*; each applier gets its events of the
//! round. Rounds are finished in order, and only a finished round moves the
//! safe position, and none behind a failed one, so it never passes an unapplied
//! event and never goes back.
//! DDL events are barriers: every round before one is finished, and the exact position before it
//! is persisted with its intent; then it is applied, and recorded with the position after it.
//! So a replay after a crash never crosses a DDL event that has been applied.
//!
//! A swap of components is a barrier as well: every round before it is finished and
//! its position is persisted, then the session persists what is pinned from there on,
//! then the components are switched. Invariant: what is pinned is never newer than the
//! persisted position, so that a replay, which begins at or behind it, gives each event
//! to the component that was in force at its cluster time. A crash before the pins are
//! written leaves the old ones, which have seen nothing behind the position; one after
//! it, the new ones, which see everything behind it.

mod applier;
mod appliers;
mod batch;
mod coalesce;
mod ddl;
mod delta;
mod freshness;
mod lookup;
mod reader;
mod retry;
mod round;
mod statement;
mod targets;

use std::{sync::Arc, time::Duration};

use futures::stream::{FuturesOrdered, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use super::{
    Context, Error, copy, indexes, letters, recopy,
    status::Step,
    wish::{self, Then, Wish},
};
use crate::{
    metadata::{Copied, CopyState, IntentDocument, NamespaceKind, PositionDocument},
    model::{ClusterTime, OperatorError, Position, event::ChangeEvent},
    mongo::{self, Change, listing},
    observe::failpoint,
};
use appliers::Appliers;
use freshness::Exactness;
use reader::{Reader, StreamBatch};
use round::{Finished, RoundBuilder};
use targets::Targets;

/// Rounds that are being applied at once.
const MAX_ROUNDS: usize = 3;

/// How often the safe position is persisted.
const PERSIST_EVERY: Duration = Duration::from_secs(1);

/// Why [`run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything up to the commit time is applied.
    Drained,
    /// The session asked the work to stop; the position is persisted.
    Stopped,
}

/// Applies change events until `commit_time` is set and reached, or the work is cancelled.
pub(super) async fn run(
    context: Arc<Context>,
    start_time: ClusterTime,
    commit_time: watch::Receiver<Option<ClusterTime>>,
    wishes: &mut mpsc::Receiver<Wish>,
) -> Result<End, Error> {
    let mut stream = ChangeStream::open(context, start_time).await?;
    let ended = stream.apply_until(commit_time, wishes).await;
    let finished = stream.finish_rounds().await;
    stream.persist(is_clean(&ended) && finished.is_ok()).await?;
    match (ended, finished) {
        // An applier that has failed takes nothing more, which looks like a stop: its own error counts.
        (Err(Error::Cancelled), Err(failure)) => Err(failure),
        (Err(Error::Cancelled), Ok(())) => Ok(End::Stopped),
        (Ok(_), Err(failure)) => Err(failure),
        (ended, _) => ended,
    }
}

/// Gives collections the names that are recorded for them, where DDL that is in flight may have
/// changed them.
pub(super) async fn settle_names(context: &Context) -> Result<(), Error> {
    let in_flight = context.store.intents().await?;
    ddl::settle(context, &in_flight).await
}

fn is_clean(ended: &Result<End, Error>) -> bool {
    matches!(ended, Ok(_) | Err(Error::Cancelled))
}

struct ChangeStream {
    context: Arc<Context>,
    start_time: ClusterTime,
    reader: Reader,
    targets: Targets,
    appliers: Appliers,
    exactness: Arc<Exactness>,
    rounds: FuturesOrdered<Finished>,
    /// A round has failed: those behind it are finished too, but move no position.
    failed: bool,
    /// `None` until the first batch has been applied.
    safe: Option<Position>,
    persisted: Option<Position>,
    numbers: ddl::Numbers,
    /// Intents whose commands may still arrive.
    in_flight: Vec<IntentDocument>,
}

impl ChangeStream {
    /// Opens all writers first: what earlier work of this host has sent is done by then, or
    /// never, so that the position and the source's time are read after the last of it.
    async fn open(context: Arc<Context>, start_time: ClusterTime) -> Result<Self, Error> {
        let exactness = Arc::new(Exactness::default());
        let appliers = Appliers::start(&context, &exactness).await?;
        let position = context.store.position().await?;
        exactness.raise(match &position {
            Some(position) if position.clean => position.exact_after,
            _ => listing::operation_time(&context.source).await?,
        });
        if let Some(position) = &position {
            context
                .status
                .set_events_applied(u64::try_from(position.events_applied).unwrap_or_default());
            context.status.set_safe(position.safe.cluster_time);
            context.status.set_reported(position.safe.cluster_time);
        }
        let safe = position.map(|position| position.safe);
        let in_flight = context.store.intents().await?;
        ddl::settle(&context, &in_flight).await?;
        let mut stream = Self {
            numbers: ddl::Numbers::after(&in_flight),
            in_flight,
            reader: Reader::new(
                context.source.clone(),
                context.status.clone(),
                start_time,
                safe.clone(),
            ),
            targets: Targets::load(&context).await?,
            appliers,
            exactness,
            rounds: FuturesOrdered::new(),
            failed: false,
            persisted: None,
            safe,
            start_time,
            context,
        };
        // From here on something may be applied beyond the safe position.
        stream.write_position(false).await?;
        stream.persisted.clone_from(&stream.safe);
        Ok(stream)
    }

    async fn apply_until(
        &mut self,
        mut commit_time: watch::Receiver<Option<ClusterTime>>,
        wishes: &mut mpsc::Receiver<Wish>,
    ) -> Result<End, Error> {
        self.copy_pending(wishes).await?;
        self.context.status.set_step(Step::ChangeEventApplication);
        let mut ticks = tokio::time::interval(PERSIST_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let cancel = self.context.cancel.clone();
        loop {
            if self.has_reached(*commit_time.borrow_and_update()) {
                return Ok(End::Drained);
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                Some(finished) = self.rounds.next(), if !self.rounds.is_empty() => self.finished(finished)?,
                _ = ticks.tick() => self.persist(false).await?,
                Some(wish) = wishes.recv() => self.grant(wish, wishes).await?,
                changed = commit_time.changed() => changed.map_err(|_closed| Error::Cancelled)?,
                batch = self.reader.next(), if self.rounds.len() < MAX_ROUNDS => self.take(batch?).await?,
            }
        }
    }

    /// A position *at* the commit time may still have events of that very time before it.
    fn has_reached(&self, commit_time: Option<ClusterTime>) -> bool {
        match (&self.safe, commit_time) {
            (Some(safe), Some(commit_time)) => safe.cluster_time > commit_time,
            _ => false,
        }
    }

    /// Splits a batch into rounds at its DDL events and hands the rounds out.
    async fn take(&mut self, batch: StreamBatch) -> Result<(), Error> {
        let batch = Arc::new(batch);
        let mut round = RoundBuilder::new(&batch, self.appliers.count());
        let mut last = None;
        for document in batch.events()? {
            let event = ChangeEvent::parse(document?)?;
            if event.op_type.is_crud() {
                if let Some(target) = self.targets.get(event.uuid) {
                    round.push(&event, target)?;
                }
            } else {
                let before =
                    std::mem::replace(&mut round, RoundBuilder::new(&batch, self.appliers.count()));
                self.submit(before, last.map(position_after).transpose()?.flatten())
                    .await?;
                self.apply_ddl(&event).await?;
            }
            last = Some(event.resume_token);
        }
        self.submit(round, batch.position()).await
    }

    /// Hands a round out. `position` is where the stream stands after it.
    async fn submit(
        &mut self,
        round: RoundBuilder,
        position: Option<Position>,
    ) -> Result<(), Error> {
        if round.is_empty() && position.is_none() {
            return Ok(());
        }
        let finished = self.appliers.submit(round, position).await?;
        self.rounds.push_back(finished);
        Ok(())
    }

    async fn apply_ddl(&mut self, event: &ChangeEvent<'_>) -> Result<(), Error> {
        self.finish_rounds().await?;
        if !self.in_flight.is_empty() {
            ddl::settle(&self.context, &self.in_flight).await?;
        }
        let before = self.position_document(false);
        let ddl::Applied { in_scope, changes } = ddl::apply(
            &self.context,
            &mut self.targets,
            &self.exactness,
            event,
            before,
            &mut self.numbers,
        )
        .await?;
        failpoint("ddl_applied");
        self.context.status.add_events_applied(u64::from(in_scope));
        let after = position_after(event.resume_token)?.or(self.safe.clone());
        if changes.is_empty() {
            self.safe = after;
        } else {
            self.record(changes, after).await?;
        }
        self.show_position();
        Ok(())
    }

    /// Records what a DDL event has led to, with the position after it. The position stays before the
    /// event until then: work that fails persists it once more.
    async fn record(&mut self, changes: Vec<Change>, after: Option<Position>) -> Result<(), Error> {
        let document = self.position_document_at(after.clone(), false);
        record_ddl(&self.context, changes, document.as_ref()).await?;
        self.show_persisted(document.as_ref());
        self.safe = after;
        self.persisted.clone_from(&self.safe);
        self.in_flight = self.context.store.intents().await?;
        self.targets.fill_uuids(&self.context).await?;
        failpoint("position_persisted");
        Ok(())
    }

    /// Everything before is applied first, so that no applier holds an older version, and
    /// nothing is with a plugin.
    async fn grant(&mut self, wish: Wish, wishes: &mut mpsc::Receiver<Wish>) -> Result<(), Error> {
        self.finish_rounds().await?;
        let time = self.position_time();
        match wish {
            Wish::RetryQuarantined(answer) => {
                let retried = retry::all(&self.context, &self.targets, &self.exactness, time).await;
                // Nobody waits any more when the call was cut off.
                let _ = answer.send(retried.map_err(OperatorError::from));
            }
            Wish::Boundary(answer) => {
                self.persist(false).await?;
                let then = wish::stay(&self.context, answer, time, false).await;
                if then != Then::Same {
                    self.targets.refresh(&self.context)?;
                }
                if then == Then::CopyAgain {
                    self.context.status.set_step(Step::Recopy);
                    recopy::mark_in(&self.context).await?;
                    self.copy_pending(wishes).await?;
                    self.context.status.set_step(Step::ChangeEventApplication);
                }
            }
        }
        Ok(())
    }

    /// Where the stream stands: everything before this time is applied.
    fn position_time(&self) -> ClusterTime {
        let safe = self.safe.as_ref();
        safe.map_or(self.start_time, |safe| safe.cluster_time)
    }

    /// Copies what is pending, before anything else is applied: what a swap wants copied again,
    /// and what a crash has left of a collection that a rename brought into scope, whose
    /// event comes again and finds it. Documents are then newer than the events behind the
    /// position.
    async fn copy_pending(&mut self, wishes: &mut mpsc::Receiver<Wish>) -> Result<(), Error> {
        let mut pending = self.context.store.namespaces().await?;
        pending.retain(|namespace| {
            namespace.kind == NamespaceKind::Collection && namespace.copy_state < CopyState::Ready
        });
        if pending.is_empty() {
            return Ok(());
        }
        tracing::info!(collections = pending.len(), "copying again");
        let context = self.context.clone();
        context.status.set_step(Step::Recopy);
        let after = self.position_time();
        let work = async {
            copy::copy_all(&context, pending, after).await?;
            indexes::build_all(&context).await
        };
        wish::while_copying(&context, wishes, Some(after), work).await?;
        self.exactness
            .raise(listing::operation_time(&context.source).await?);
        self.targets = Targets::load(&context).await?;
        failpoint("recopy_done");
        Ok(())
    }

    /// Waits for all rounds, so that nothing is written any more; gives the first failure.
    async fn finish_rounds(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let Some(finished) = self.rounds.next().await {
            let finished = self.finished(finished);
            outcome = match outcome {
                Ok(()) | Err(Error::Cancelled) => finished.and(outcome),
                failure => failure,
            };
        }
        outcome
    }

    fn finished(&mut self, round: Result<round::Applied, Error>) -> Result<(), Error> {
        let round = round.inspect_err(|_| self.failed = true)?;
        self.context.status.add_events_applied(round.events);
        self.context.status.has_moved();
        if round.position.is_some() && !self.failed {
            if round.position.as_ref().map(time) < self.safe.as_ref().map(time) {
                return Err(mongo::Error::Broken("the position never goes back").into());
            }
            self.safe = round.position;
            self.show_position();
        }
        failpoint("events_applied");
        Ok(())
    }

    fn show_position(&self) {
        if let Some(safe) = &self.safe {
            self.context.status.set_reported(safe.cluster_time);
        }
    }

    /// Persists the safe position if it has moved, or if the work ends cleanly.
    async fn persist(&mut self, clean: bool) -> Result<(), Error> {
        if clean || self.safe != self.persisted {
            self.write_position(clean).await?;
            self.persisted.clone_from(&self.safe);
            failpoint("position_persisted");
        }
        Ok(())
    }

    async fn write_position(&mut self, clean: bool) -> Result<(), Error> {
        let Some(position) = self.position_document(clean) else {
            return Ok(());
        };
        self.context.store.put_position(&position).await?;
        self.show_persisted(Some(&position));
        Ok(())
    }

    fn show_persisted(&self, position: Option<&PositionDocument>) {
        if let Some(position) = position {
            let status = &self.context.status;
            status.show_events(u64::try_from(position.events_applied).unwrap_or_default());
            status.set_safe(position.safe.cluster_time);
        }
    }

    /// The safe position as it is persisted; `None` until the first batch has been applied.
    fn position_document(&self, clean: bool) -> Option<PositionDocument> {
        self.position_document_at(self.safe.clone(), clean)
    }

    fn position_document_at(
        &self,
        safe: Option<Position>,
        clean: bool,
    ) -> Option<PositionDocument> {
        let copy = self.context.status.copy();
        let to_i64 = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Some(PositionDocument {
            id: PositionDocument::ID.to_owned(),
            safe: safe?,
            exact_after: self.exactness.after_restart(),
            events_applied: to_i64(self.context.status.events_applied()),
            clean,
            copied: Copied {
                documents: to_i64(copy.copied_documents),
                bytes: to_i64(copy.copied_bytes),
            },
        })
    }
}

/// Records what a DDL event has led to; a collection that it creates is created with that.
async fn record_ddl(
    context: &Context,
    changes: Vec<Change>,
    after: Option<&PositionDocument>,
) -> Result<(), Error> {
    let store = &context.store;
    let Err(error) = store.record_ddl(changes.clone(), after).await else {
        return Ok(());
    };
    let created = changes.iter().find_map(|change| match change {
        Change::Command { database, .. } => Some(database),
        _ => None,
    });
    match created {
        Some(database) if letters::free_name(context, database, &error).await? => {
            Ok(store.record_ddl(changes, after).await?)
        }
        _ => Err(error.into()),
    }
}

fn time(position: &Position) -> ClusterTime {
    position.cluster_time
}

/// The position after the event with this token.
fn position_after(token: &[u8]) -> Result<Option<Position>, Error> {
    let token = bson::RawDocumentBuf::from_bytes(token.to_vec());
    Ok(Position::from_token(token.map_err(mongo::Error::Bson)?))
}
