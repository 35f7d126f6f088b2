//! A sync that has begun, and the task that does its work while it is not paused.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Session, lease::Lease, plugins};
use crate::{
    metadata::SessionDocument,
    model::{ClusterTime, OperatorError, State},
    mongo::{self, Cluster},
    plugin::Chain,
    sync::{self, Record, Retry, Status, Work, Workers},
};

pub(super) struct ActiveSync {
    pub(super) source: Cluster,
    destination: Cluster,
    pub(super) lease: Lease,
    pub(super) record: Arc<Record>,
    pub(super) status: Arc<Status>,
    pub(super) commit_time: watch::Sender<Option<ClusterTime>>,
    task: AsyncMutex<Option<Task>>,
    failure: Arc<Mutex<Option<OperatorError>>>,
    /// The chain of the work that was started last.
    chain: Mutex<Option<Arc<Chain>>>,
    /// For how long nothing was applied when this host took the sync over.
    paused_ms: OnceLock<i64>,
}

struct Task {
    cancel: CancellationToken,
    handle: JoinHandle<()>,
    retries: mpsc::Sender<Retry>,
}

impl ActiveSync {
    pub(super) fn new(
        (source, destination): (Cluster, Cluster),
        lease: Lease,
        record: Record,
        status: Arc<Status>,
        commit_time: Option<ClusterTime>,
    ) -> Self {
        Self {
            source,
            destination,
            lease,
            record: Arc::new(record),
            status,
            commit_time: watch::Sender::new(commit_time),
            task: AsyncMutex::default(),
            failure: Arc::default(),
            chain: Mutex::default(),
            paused_ms: OnceLock::new(),
        }
    }

    pub(super) fn paused_ms(&self) -> Option<i64> {
        self.paused_ms.get().copied()
    }

    pub(super) fn set_paused_ms(&self, milliseconds: i64) {
        // Measured once a takeover.
        let _ = self.paused_ms.set(milliseconds);
    }

    /// The public state: a sync whose work has failed is paused.
    pub(super) async fn state(&self) -> State {
        let state = self.record.get().await.state;
        match state {
            State::Running | State::Committing if self.failure().is_some() => State::Paused,
            state => state,
        }
    }

    pub(super) fn failure(&self) -> Option<OperatorError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) async fn update(
        &self,
        change: impl FnOnce(&mut SessionDocument),
    ) -> Result<(), OperatorError> {
        self.record
            .update(change)
            .await
            .map_err(|error| sync::Error::from(error).into_operator())
    }

    pub(super) fn chain(&self) -> Option<Arc<Chain>> {
        self.chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks the work to try quarantined documents again. What cannot be asked is not answered.
    pub(super) async fn retry(&self, answer: Retry) {
        if let Some(task) = self.task.lock().await.as_ref() {
            // A closed channel drops the wish, and its asker hears of that.
            let _ = task.retries.send(answer).await;
        }
    }

    /// Starts the work, from wherever it stands.
    pub(super) async fn spawn(&self, session: &Session) -> Result<(), OperatorError> {
        let mut task = self.task.lock().await;
        let SessionDocument {
            options, pinned, ..
        } = self.record.get().await;
        let configured = plugins::configure(&session.registry, options, pinned.clone()).await?;
        if configured.pinned != pinned {
            let pinned = configured.pinned;
            self.update(|session| session.pinned = pinned).await?;
        }
        // The chain of an earlier run has its counters, and whatever was swapped in since.
        let chain = self.chain().unwrap_or_else(|| Arc::new(configured.chain));
        let (retries, wishes) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let work = Work {
            source: self.source.clone(),
            destination: self.lease.destination(&self.destination.client),
            router: configured.router,
            chain: chain.clone(),
            record: self.record.clone(),
            status: self.status.clone(),
            workers: Workers::of_load_level(session.settings.load_level),
            cancel: cancel.clone(),
            commit_time: self.commit_time.subscribe(),
            retries: wishes,
        };
        self.status.reset();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (failure, lost) = (self.failure.clone(), self.lease.lost().clone());
        let span = tracing::info_span!("sync", sync_id = session.settings.id);
        let run = async move {
            match sync::run(work).await {
                Ok(end) => tracing::info!(?end, "the sync's work has ended"),
                Err(sync::Error::Mongo(mongo::Error::Fenced)) => {
                    tracing::info!("the sync's work has ended: another host has taken it over");
                    lost.cancel();
                }
                Err(error) => {
                    let error = error.into_operator();
                    tracing::error!(error = %error, error_code = error.name.as_str(), "the sync has stopped and can be resumed");
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        };
        *task = Some(Task {
            cancel,
            handle: tokio::spawn(run.instrument(span)),
            retries,
        });
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
        Ok(())
    }

    /// Stops the work; returns when its position is persisted.
    pub(super) async fn stop(&self) {
        if let Some(Task { cancel, handle, .. }) = self.task.lock().await.take() {
            cancel.cancel();
            if let Err(error) = handle.await {
                tracing::error!(error = %error, "the sync's task ended early");
            }
        }
    }
}
