//! The applier tasks, and the rounds that are handed out to them.

use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::Instrument;

use super::{
    Context, Error,
    applier::Applier,
    freshness::Exactness,
    parked_keys::ParkedKeys,
    round::{ParkedPartition, RoundBuilder, RoundFuture, RoundPart, RoundReport, applier_of},
    tracked_collections::TrackedCollection,
};
use crate::{
    model::{ClusterTime, Position, document_key::DocumentKey},
    observe::apply_batch_span,
    sync::{Workers, partitions::ParkedKey},
};

/// Parts that wait for an applier. More would only take memory.
const QUEUE: usize = 2;

/// Work of one applier.
enum ApplierWork {
    /// Its events of a round.
    Events(RoundPart),
    /// Its parked keys of a partition.
    LookUps(ParkedKeys),
}

/// The applier tasks of one stream. Dropping it ends them at once.
pub(super) struct Appliers {
    queues: Vec<mpsc::Sender<ApplierJob>>,
    _tasks: JoinSet<()>,
}

struct ApplierJob {
    work: ApplierWork,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Appliers {
    /// Starts the appliers. On return, no write of earlier appliers can still arrive: all guards are
    /// opened, since earlier appliers may have been more.
    pub(super) async fn start(
        context: &Arc<Context>,
        exactness: &Arc<Exactness>,
    ) -> Result<Self, Error> {
        let mut appliers: Vec<_> = (0..Workers::MOST)
            .map(|number| Applier::numbered(number, context, exactness))
            .collect();
        let mut between_rounds = Applier::between_rounds(context, exactness);
        let all = appliers.iter_mut().chain([&mut between_rounds]);
        try_join_all(all.map(Applier::settle)).await?;
        appliers.truncate(context.workers.count());
        tracing::info!(appliers = appliers.len(), "the appliers are started");
        let mut tasks = JoinSet::new();
        let queues = appliers
            .into_iter()
            .enumerate()
            .map(|(number, applier)| {
                let (queue, jobs) = mpsc::channel(QUEUE);
                let span = tracing::info_span!("applier", number);
                tasks.spawn(run(applier, jobs).instrument(span));
                queue
            })
            .collect();
        Ok(Self {
            queues,
            _tasks: tasks,
        })
    }

    /// The number of appliers.
    pub(super) fn count(&self) -> usize {
        self.queues.len()
    }

    /// Hands out the parts of a round, after waiting for room in the appliers' queues.
    ///
    /// Not cancel safe: a dropped call may have handed out some of the parts.
    ///
    /// # Errors
    /// `Cancelled` if an applier has ended.
    pub(super) async fn submit(
        &self,
        round: RoundBuilder,
        position: Option<Position>,
    ) -> Result<RoundFuture, Error> {
        let events = round.events();
        let parts = round
            .into_parts()
            .map(|part| (!part.events.is_empty()).then_some(ApplierWork::Events(part)));
        let report = RoundReport {
            events,
            position,
            looked_up: None,
        };
        self.hand_out(parts, report).await
    }

    /// Hands out look-ups of the parked keys of a partition, each to the applier of its events.
    ///
    /// # Errors
    /// `Cancelled` if an applier has ended.
    pub(super) async fn look_up(
        &self,
        tracked: &Arc<TrackedCollection>,
        keys: Vec<ParkedKey>,
        at_least: ClusterTime,
        partition: ParkedPartition,
    ) -> Result<RoundFuture, Error> {
        let count = self.count().max(1);
        let mut parts: Vec<Vec<ParkedKey>> = vec![Vec::new(); count];
        for key in keys {
            let document_key = DocumentKey::new(key.id_kind, &key.id);
            let applier = applier_of(tracked, key.id_kind, &document_key, count);
            if let Some(part) = parts.get_mut(applier) {
                part.push(key);
            }
        }
        let parts = parts.into_iter().map(|keys| {
            (!keys.is_empty()).then(|| {
                ApplierWork::LookUps(ParkedKeys {
                    tracked: tracked.clone(),
                    keys,
                    at_least,
                })
            })
        });
        let report = RoundReport {
            events: 0,
            position: None,
            looked_up: Some(partition),
        };
        self.hand_out(parts, report).await
    }

    async fn hand_out(
        &self,
        parts: impl Iterator<Item = Option<ApplierWork>>,
        report: RoundReport,
    ) -> Result<RoundFuture, Error> {
        let mut waits = Vec::new();
        for (queue, work) in self.queues.iter().zip(parts) {
            let Some(work) = work else {
                continue;
            };
            let (done, finished) = oneshot::channel();
            queue
                .send(ApplierJob { work, done })
                .await
                .map_err(|_closed| Error::Cancelled)?;
            waits.push(async { finished.await.map_err(|_dropped| Error::Cancelled)? });
        }
        Ok(Box::pin(async move {
            // Waits for all parts, also after a failure: the caller may start again as soon as it
            // knows of the failure.
            let outcomes = join_all(waits).await;
            outcomes.into_iter().collect::<Result<(), Error>>()?;
            Ok(report)
        }))
    }
}

/// Applies parts in order, until the first failure.
async fn run(mut applier: Applier, mut jobs: mpsc::Receiver<ApplierJob>) {
    while let Some(ApplierJob { work, done }) = jobs.recv().await {
        let outcome = match work {
            ApplierWork::Events(part) => {
                let span = apply_batch_span(part.events.len());
                applier.apply(&part).instrument(span).await
            }
            ApplierWork::LookUps(parked) => applier.look_up_parked(&parked).await,
        };
        let failed = outcome.is_err();
        // The receiver is gone if the stream has stopped.
        let _ = done.send(outcome);
        if failed {
            return;
        }
    }
}
