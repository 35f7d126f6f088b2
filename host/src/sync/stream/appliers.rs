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
    round::{RoundBuilder, RoundFuture, RoundPart, RoundReport},
};
use crate::model::Position;

/// Parts that wait for an applier. More would only take memory.
const QUEUE: usize = 2;

/// The applier tasks of one stream. Dropping it ends them at once.
pub(super) struct Appliers {
    queues: Vec<mpsc::Sender<ApplierJob>>,
    _tasks: JoinSet<()>,
}

struct ApplierJob {
    part: RoundPart,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Appliers {
    /// Starts the appliers. On return, no write of earlier appliers can still arrive.
    pub(super) async fn start(
        context: &Arc<Context>,
        exactness: &Arc<Exactness>,
    ) -> Result<Self, Error> {
        let mut appliers: Vec<_> = (0..context.workers.count())
            .map(|number| Applier::numbered(number, context, exactness))
            .collect();
        let mut between_rounds = Applier::between_rounds(context, exactness);
        let all = appliers.iter_mut().chain([&mut between_rounds]);
        try_join_all(all.map(Applier::settle)).await?;
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
        let mut parts = Vec::new();
        for (queue, part) in self.queues.iter().zip(round.into_parts()) {
            if part.events.is_empty() {
                continue;
            }
            let (done, finished) = oneshot::channel();
            queue
                .send(ApplierJob { part, done })
                .await
                .map_err(|_closed| Error::Cancelled)?;
            parts.push(async { finished.await.map_err(|_dropped| Error::Cancelled)? });
        }
        Ok(Box::pin(async move {
            // Waits for all parts, also after a failure: the caller may start again as soon as it
            // knows of the failure.
            let outcomes = join_all(parts).await;
            outcomes.into_iter().collect::<Result<(), Error>>()?;
            Ok(RoundReport { events, position })
        }))
    }
}

/// Applies parts in order, until the first failure.
async fn run(mut applier: Applier, mut jobs: mpsc::Receiver<ApplierJob>) {
    while let Some(ApplierJob { part, done }) = jobs.recv().await {
        let outcome = applier.apply(&part).await;
        let failed = outcome.is_err();
        // The receiver is gone if the stream has stopped.
        let _ = done.send(outcome);
        if failed {
            return;
        }
    }
}
