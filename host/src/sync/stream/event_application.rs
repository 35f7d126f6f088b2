//! Change event application: batches become rounds, which are handed out and finished in order,
//! while collections are copied beside them.

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
    idle_notes::IdleNotes,
    position::StreamPosition,
    read_ahead::ReadAhead,
    reader::StreamReader,
    round::{self, RoundFuture},
    tracked_collections::TrackedCollections,
    verifier,
};
use crate::{
    metadata::{IntentDocument, NamespaceDocument, PartitionDocument, PositionDocument},
    model::ClusterTime,
    mongo::listing,
    observe::failpoint,
    sync::{boundary::WorkRequest, change_stream::Events, copy::CopyPool, verification::Verifier},
};

/// Rounds that are applied in parallel.
const MAX_ROUNDS: usize = 3;

/// The pause before a request to the stream while collections are copied: fewer and larger rounds cost the destination
/// less, and nobody waits for them.
const LINGER: Duration = Duration::from_millis(200);

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
    /// The workers of the copy.
    pub(super) pool: CopyPool,
    /// What the copy has to persist.
    pub(super) unpersisted: UnpersistedCopies,
    pub(super) reader: StreamReader,
    ahead: ReadAhead,
    /// Whether collections are being copied or compared.
    pub(super) is_copying: bool,
    pub(super) appliers: Appliers,
    pub(super) rounds: FuturesOrdered<RoundFuture>,
    pub(super) numbers: ddl::IntentNumbers,
    /// Intents whose commands may still arrive.
    pub(super) in_flight: Vec<IntentDocument>,
    /// The newest event that the stream has brought.
    pub(super) newest_event: ClusterTime,
    pub(super) idle_notes: IdleNotes,
    pub(super) _verifier: Option<Verifier>,
}

/// States of the copy that the event loop persists, before any later position.
#[derive(Default)]
pub(super) struct UnpersistedCopies {
    /// Partitions that are done.
    pub(super) partitions: Vec<PartitionDocument>,
    /// Namespaces whose state has changed.
    pub(super) namespaces: Vec<NamespaceDocument>,
    /// Ids of partitions whose parked keys have been looked up, to be removed after the position.
    pub(super) looked_up: Vec<String>,
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
        let undated = context.store.has_undated_copies().await?;
        exactness.raise(match &position {
            Some(position) if position.clean && !undated => position.exact_after,
            _ => listing::operation_time(&context.source).await?,
        });
        show_persisted(&context, position.as_ref());
        let safe = position.map(|position| position.safe);
        let in_flight = context.store.intents().await?;
        ddl::settle(&context, &in_flight).await?;
        let position = StreamPosition::new(&context, &exactness, start_time, safe.clone());
        context.partitions.begin(position.time(), start_time);
        let verifier = verifier::start(&context, safe.clone()).await;
        let reader = StreamReader::new(
            context.source.clone(),
            context.status.clone(),
            (Events::of(&context.record.get()), start_time),
            safe,
        )
        .await?;
        let mut application = Self {
            // There may be more events of the position's time.
            newest_event: position.time(),
            idle_notes: IdleNotes::default(),
            _verifier: verifier,
            numbers: ddl::IntentNumbers::after(&in_flight),
            in_flight,
            reader,
            ahead: ReadAhead::default(),
            is_copying: false,
            tracked_collections: TrackedCollections::default(),
            appliers,
            rounds: FuturesOrdered::new(),
            position,
            exactness,
            pool: CopyPool::start(&context),
            unpersisted: UnpersistedCopies::default(),
            context,
        };
        application.position.begin().await?;
        application.go_on_copying().await?;
        Ok(application)
    }

    /// Applies events until everything up to the commit time is applied, or the work is cancelled.
    ///
    /// # Errors
    /// `Cancelled` on cancellation; the first failure of a round, a read, a write or a worker.
    pub(super) async fn apply_until(
        &mut self,
        mut commit_time: watch::Receiver<Option<ClusterTime>>,
        requests: &mut mpsc::Receiver<WorkRequest>,
    ) -> Result<StreamEnd, Error> {
        self.show_phase().await?;
        let mut ticks = tokio::time::interval(PERSIST_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let cancel = self.context.cancel.clone();
        let verification = self.context.verification.clone();
        loop {
            if self.context.hidden_ddl.has_found() {
                return Err(Error::HiddenDdl);
            }
            if self.meet_between_rounds().await?
                || self.is_drained(*commit_time.borrow_and_update())
            {
                return Ok(StreamEnd::Drained);
            }
            if self.rounds.len() < MAX_ROUNDS
                && !cancel.is_cancelled()
                && let Some(batch) = self.ahead.pop()
            {
                self.take(batch).await?;
                continue;
            }
            let linger = if self.is_copying {
                LINGER
            } else {
                Duration::ZERO
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                Some(finished) = self.rounds.next(), if !self.rounds.is_empty() => {
                    if self.finished(finished)? {
                        self.show_phase().await?;
                    }
                }
                report = self.pool.next() => self.take_report(report).await?,
                _ = ticks.tick() => {
                    self.persist(false).await?;
                    // A collection that is being copied may have been dropped.
                    self.show_phase().await?;
                }
                Some(request) = requests.recv() => self.serve(request).await?,
                () = verification.asked() => {}
                changed = commit_time.changed() => changed.map_err(|_closed| Error::Cancelled)?,
                batch = self.reader.next(linger), if self.ahead.has_room() => self.ahead.push(batch?),
            }
        }
    }

    /// Whether everything up to the commit time is applied, no collection is being copied, and little is left to
    /// verify.
    fn is_drained(&self, commit_time: Option<ClusterTime>) -> bool {
        if !self.position.has_passed(commit_time) || !self.context.partitions.is_idle() {
            return false;
        }
        let verification = &self.context.verification;
        verification.close();
        !verification.options.enabled || verification.has_last_boundary()
    }

    /// Waits for all rounds, so that no write is under way on return. Returns the first failure.
    pub(super) async fn finish_rounds(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let Some(finished) = self.rounds.next().await {
            let finished = self.finished(finished).map(drop);
            outcome = match outcome {
                Ok(()) | Err(Error::Cancelled) => finished.and(outcome),
                failure => failure,
            };
        }
        outcome
    }

    /// Starts the appliers again if the load level asks for another number of them.
    pub(super) async fn fit_appliers(&mut self) -> Result<(), Error> {
        if self.appliers.count() == self.context.workers.count() {
            return Ok(());
        }
        self.finish_rounds().await?;
        // The new appliers do not know which documents were looked up.
        self.exactness.raise(self.exactness.after_restart());
        self.appliers = Appliers::start(&self.context, &self.exactness).await?;
        Ok(())
    }

    /// Moves past a finished round. Returns whether it has looked up the parked keys of a partition.
    fn finished(&mut self, round: Result<round::RoundReport, Error>) -> Result<bool, Error> {
        let round = round.inspect_err(|_| self.position.fail())?;
        self.context.status.add_events_applied(round.events);
        self.context.status.has_moved();
        self.position.advance(round.position)?;
        let Some(partition) = round.looked_up else {
            failpoint("events_applied");
            return Ok(false);
        };
        self.looked_up(partition);
        Ok(true)
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
