//! A sync that has begun, and the task that does its work while it is not paused.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Session,
    lease::Lease,
    pins::Configured,
    stop::{Stopped, stop},
    succession,
};
use crate::{
    metadata::SessionDocument,
    model::{ClusterTime, OperatorError, State},
    mongo::{self, Cluster},
    sync::{self, Boundary, Record, Status, Wish, Work, Workers},
};

pub(super) struct ActiveSync {
    pub(super) source: Cluster,
    pub(super) destination: Cluster,
    pub(super) lease: Lease,
    pub(super) record: Arc<Record>,
    pub(super) status: Arc<Status>,
    pub(super) commit_time: watch::Sender<Option<ClusterTime>>,
    task: AsyncMutex<Option<Task>>,
    failure: Arc<Mutex<Option<OperatorError>>>,
    /// What it is pinned to, with its counters; absent until it is needed.
    configured: Mutex<Option<Arc<Configured>>>,
    /// Installed components that could not take over, and why.
    refused: Mutex<Vec<String>>,
    /// For how long nothing was applied when this host took the sync over.
    paused_ms: OnceLock<i64>,
}

struct Task {
    cancel: CancellationToken,
    handle: JoinHandle<Stopped>,
    wishes: mpsc::Sender<Wish>,
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
            configured: Mutex::default(),
            refused: Mutex::default(),
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

    /// Shows the sync as one whose work has failed.
    pub(super) fn fail(&self, error: OperatorError) {
        fail(&self.failure, error);
    }

    /// What the sync is pinned to, configured already.
    pub(super) fn in_use(&self) -> Option<Arc<Configured>> {
        self.configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the sync is pinned to. Whoever asks first takes its components over.
    pub(super) async fn configured(
        &self,
        session: &Session,
    ) -> Result<Arc<Configured>, OperatorError> {
        if let Some(configured) = self.in_use() {
            return Ok(configured);
        }
        let configured = succession::take_over(session, self).await?;
        self.set_configured(configured.clone());
        Ok(configured)
    }

    pub(super) fn set_configured(&self, configured: Arc<Configured>) {
        *self
            .configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(configured);
    }

    pub(super) fn refused(&self) -> Vec<String> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_refused(&self, refused: Vec<String>) {
        for what in &refused {
            tracing::warn!(what, "an installed component cannot take over");
        }
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Asks the work for something. What cannot be asked is not answered.
    pub(super) async fn wish(&self, wish: Wish) {
        let task = self.task.lock().await;
        let wishes = task.as_ref().map(|task| task.wishes.clone());
        // Not held while the work is busy: a stop takes the task.
        drop(task);
        if let Some(wishes) = wishes {
            // A closed channel drops the wish, and its asker hears of that.
            let _ = wishes.send(wish).await;
        }
    }

    /// Brings the work to a boundary; `None` if it ends before.
    pub(super) async fn boundary(&self) -> Option<Result<Boundary, OperatorError>> {
        let (answer, answered) = oneshot::channel();
        self.wish(Wish::Boundary(answer)).await;
        answered.await.ok()
    }

    /// Starts the work, from wherever it stands.
    pub(super) async fn spawn(&self, session: &Session) -> Result<(), OperatorError> {
        let mut task = self.task.lock().await;
        let configured = self.configured(session).await?;
        let (wished, wishes) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let work = Work {
            source: self.source.clone(),
            destination: self.lease.destination(&self.destination.client),
            router: configured.router.clone(),
            chain: configured.chain.clone(),
            record: self.record.clone(),
            status: self.status.clone(),
            workers: Workers::of_load_level(session.settings.load_level),
            cancel: cancel.clone(),
            commit_time: self.commit_time.subscribe(),
            wishes,
        };
        self.status.reset();
        self.status.set_step(sync::Step::Initializing);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (failure, lost) = (self.failure.clone(), self.lease.lost().clone());
        let span = tracing::info_span!("sync", sync_id = session.settings.id);
        let run = async move {
            match sync::run(work).await {
                Ok(end) => {
                    tracing::info!(?end, "the sync's work has ended");
                    return Stopped::Clean;
                }
                Err(sync::Error::Mongo(mongo::Error::Fenced)) => {
                    tracing::info!("the sync's work has ended: another host has taken it over");
                    lost.cancel();
                }
                Err(error) => fail(&failure, error.into_operator()),
            }
            Stopped::Unclean
        };
        *task = Some(Task {
            cancel,
            handle: tokio::spawn(run.instrument(span)),
            wishes: wished,
        });
        Ok(())
    }

    /// Stops the work within a second. Work that has not begun is stopped clean.
    pub(super) async fn stop(&self) -> Stopped {
        let task = self.task.lock().await.take();
        match task {
            Some(Task { cancel, handle, .. }) => stop(&cancel, handle).await,
            None => Stopped::Clean,
        }
    }
}

fn fail(failure: &Mutex<Option<OperatorError>>, error: OperatorError) {
    tracing::error!(error = %error, error_code = error.name.as_str(), "the sync has stopped and can be resumed");
    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
}
