//! Change event application: batches become rounds, which are handed out and finished in order.

use std::{sync::Arc, time::Duration};

use futures::stream::{FuturesOrdered, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use super::{
    Context, Error,
    appliers::Appliers,
    ddl,
    freshness::Exactness,
    position::{StreamPosition, position_after},
    reader::{StreamBatch, StreamReader},
    round::{self, RoundBuilder, RoundFuture},
    tracked_collections::TrackedCollections,
};
use crate::{
    metadata::{IntentDocument, PositionDocument},
    model::{ClusterTime, Position, event::ChangeEvent},
    mongo::{Change, listing},
    observe::failpoint,
    sync::{boundary::WorkRequest, catalog::database_names, status::Activity},
};

/// Rounds that are applied in parallel.
const MAX_ROUNDS: usize = 3;

/// How often the safe position is persisted.
const PERSIST_EVERY: Duration = Duration::from_secs(1);

/// How the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync) enum StreamEnd {
    /// Everything up to the commit time is applied.
    Drained,
    /// The session asked the work to stop, and the position is persisted.
    Stopped,
}

/// The state of change event application between two events.
pub(super) struct EventApplication {
    pub(super) context: Arc<Context>,
    /// The position that the applied events have reached.
    pub(super) position: StreamPosition,
    /// The collections in scope, as of the next event.
    pub(super) tracked_collections: TrackedCollections,
    /// The time up to which updates are not applied as deltas.
    pub(super) exactness: Arc<Exactness>,
    reader: StreamReader,
    appliers: Appliers,
    rounds: FuturesOrdered<RoundFuture>,
    numbers: ddl::IntentNumbers,
    /// Intents whose commands may still arrive.
    in_flight: Vec<IntentDocument>,
}

impl EventApplication {
    /// Opens the stream. All writers are opened first: writes of this host's earlier work are done
    /// by then, or never, so that the position and the source's time are read after the last of
    /// them.
    pub(super) async fn open(
        context: Arc<Context>,
        start_time: ClusterTime,
    ) -> Result<Self, Error> {
        let exactness = Arc::new(Exactness::default());
        let appliers = Appliers::start(&context, &exactness).await?;
        let position = context.store.position().await?;
        exactness.raise(match &position {
            Some(position) if position.clean => position.exact_after,
            _ => listing::operation_time(&context.source).await?,
        });
        show_persisted(&context, position.as_ref());
        let safe = position.map(|position| position.safe);
        let in_flight = context.store.intents().await?;
        ddl::settle(&context, &in_flight).await?;
        let mut application = Self {
            numbers: ddl::IntentNumbers::after(&in_flight),
            in_flight,
            reader: StreamReader::new(
                context.source.clone(),
                context.status.clone(),
                start_time,
                safe.clone(),
            ),
            tracked_collections: TrackedCollections::load(&context).await?,
            appliers,
            rounds: FuturesOrdered::new(),
            position: StreamPosition::new(&context, &exactness, start_time, safe),
            exactness,
            context,
        };
        application.position.begin().await?;
        Ok(application)
    }

    /// Applies events until everything up to the commit time is applied, or the work is cancelled.
    ///
    /// # Errors
    /// `Cancelled` on cancellation; the first failure of a round, a read or a write.
    pub(super) async fn apply_until(
        &mut self,
        mut commit_time: watch::Receiver<Option<ClusterTime>>,
        requests: &mut mpsc::Receiver<WorkRequest>,
    ) -> Result<StreamEnd, Error> {
        self.copy_pending(requests).await?;
        self.context
            .status
            .set_activity(Activity::ChangeEventApplication);
        let mut ticks = tokio::time::interval(PERSIST_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let cancel = self.context.cancel.clone();
        loop {
            if self.position.has_passed(*commit_time.borrow_and_update()) {
                return Ok(StreamEnd::Drained);
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                Some(finished) = self.rounds.next(), if !self.rounds.is_empty() => self.finished(finished)?,
                _ = ticks.tick() => self.position.persist(false).await?,
                Some(request) = requests.recv() => self.serve(request, requests).await?,
                changed = commit_time.changed() => changed.map_err(|_closed| Error::Cancelled)?,
                batch = self.reader.next(), if self.rounds.len() < MAX_ROUNDS => self.take(batch?).await?,
            }
        }
    }

    /// Splits a batch into rounds at its DDL events and hands them out.
    async fn take(&mut self, batch: StreamBatch) -> Result<(), Error> {
        let batch = Arc::new(batch);
        let mut round = RoundBuilder::new(&batch, self.appliers.count());
        let mut last = None;
        for document in batch.events()? {
            let event = ChangeEvent::parse(document?)?;
            if event.op_type.is_crud() {
                if let Some(tracked) = self.tracked_collections.get(event.uuid) {
                    round.push(&event, tracked)?;
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

    /// Hands out a round. `position` is the stream's position after it.
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
        let before = self.position.document();
        let ddl::DdlResult { in_scope, changes } = ddl::apply(
            &self.context,
            &mut self.tracked_collections,
            &self.exactness,
            event,
            before,
            &mut self.numbers,
        )
        .await?;
        failpoint("ddl_applied");
        self.context.status.add_events_applied(u64::from(in_scope));
        let after = position_after(event.resume_token)?.or(self.position.safe().cloned());
        if changes.is_empty() {
            self.position.pass(after);
        } else {
            self.record(changes, after).await?;
        }
        self.position.show();
        Ok(())
    }

    /// Records the changes of a DDL event with the position after it. Until then the position stays
    /// before the event, since work that fails persists it again.
    async fn record(&mut self, changes: Vec<Change>, after: Option<Position>) -> Result<(), Error> {
        let document = self.position.document_at(after.clone(), false);
        record_ddl(&self.context, changes, document.as_ref()).await?;
        self.position.recorded(after, document.as_ref());
        self.in_flight = self.context.store.intents().await?;
        self.tracked_collections.fill_uuids(&self.context).await?;
        failpoint("position_persisted");
        Ok(())
    }

    /// Waits for all rounds, so that no write is under way on return. Returns the first failure.
    pub(super) async fn finish_rounds(&mut self) -> Result<(), Error> {
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

    fn finished(&mut self, round: Result<round::RoundReport, Error>) -> Result<(), Error> {
        let round = round.inspect_err(|_| self.position.fail())?;
        self.context.status.add_events_applied(round.events);
        self.context.status.has_moved();
        self.position.advance(round.position)?;
        failpoint("events_applied");
        Ok(())
    }
}

/// Shows the position that work begins with.
fn show_persisted(context: &Context, position: Option<&PositionDocument>) {
    if let Some(position) = position {
        context
            .status
            .set_events_applied(u64::try_from(position.events_applied).unwrap_or_default());
        context.status.set_safe(position.safe.cluster_time);
        context.status.set_reported(position.safe.cluster_time);
    }
}

/// Records the changes of a DDL event. A collection that the event creates is created in the same
/// transaction.
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
        Some(database)
            if database_names::free_database_name(&context.destination, database, &error)
                .await? =>
        {
            Ok(store.record_ddl(changes, after).await?)
        }
        _ => Err(error.into()),
    }
}
