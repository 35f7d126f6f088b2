//! A sync that has begun, and the task that does its work while it is not paused.

pub(super) mod state;
mod stop;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    metadata::SessionDocument,
    model::{ClusterTime, ErrorName, OperatorError},
    mongo::{self, Cluster},
    observe,
    plugin::{Chain, Registry, Router},
    session::lease::{Lease, process::app_name},
    sync::{self, Boundary, Record, Status, Work, WorkEnd, WorkRequest, Workers},
};
use state::{SyncState, WorkState};
use stop::{CLEANUP_TIMEOUT, Stop, stop};

/// What a sync needs of the host that works on it.
#[derive(Clone)]
pub(crate) struct Runtime {
    /// `--id` of this host.
    pub(crate) instance: String,
    pub(crate) registry: Arc<Registry>,
    pub(crate) workers: Workers,
}

/// What routes and transforms for one sync.
pub(crate) struct RunningComponents {
    pub(crate) router: Arc<Router>,
    pub(crate) chain: Arc<Chain>,
}

pub(crate) struct ActiveSync {
    pub(crate) runtime: Runtime,
    pub(crate) source: Cluster,
    pub(crate) destination: Cluster,
    pub(crate) lease: Lease,
    pub(crate) record: Arc<Record>,
    pub(crate) status: Arc<Status>,
    pub(crate) commit_time: watch::Sender<Option<ClusterTime>>,
    task: AsyncMutex<Option<Task>>,
    work: Arc<Mutex<WorkState>>,
    /// What it is pinned to, with its counters; absent until it is needed.
    configured: Mutex<Option<Arc<RunningComponents>>>,
    /// Installed components that could not take over, and why.
    rejected: Mutex<Vec<String>>,
    /// For how long nothing was applied when this host took the sync over.
    paused_ms: Arc<OnceLock<i64>>,
}

struct Task {
    cancel: CancellationToken,
    handle: JoinHandle<Stop>,
    requests: mpsc::Sender<WorkRequest>,
}

impl ActiveSync {
    pub(crate) fn new(
        runtime: Runtime,
        (source, destination): (Cluster, Cluster),
        lease: Lease,
        record: Record,
        status: Arc<Status>,
    ) -> Self {
        let commit_time = record.get().commit_time;
        Self {
            runtime,
            source,
            destination,
            lease,
            record: Arc::new(record),
            status,
            commit_time: watch::Sender::new(commit_time),
            task: AsyncMutex::default(),
            work: Arc::default(),
            configured: Mutex::default(),
            rejected: Mutex::default(),
            paused_ms: Arc::default(),
        }
    }

    pub(crate) fn paused_ms(&self) -> Option<i64> {
        self.paused_ms.get().copied()
    }

    /// Where the pause of this takeover is put once it is measured.
    pub(crate) fn pause(&self) -> Arc<OnceLock<i64>> {
        self.paused_ms.clone()
    }

    /// What the sync is doing now.
    pub(crate) fn state(&self) -> SyncState {
        let work = self.work.lock().clone();
        SyncState::of(self.record.get().state, &work)
    }

    pub(crate) fn sync_id(&self) -> String {
        self.record.get().sync_id()
    }

    /// Up to when the source's changes are applied: from the start time on, which the copy is as of
    /// at least.
    pub(crate) fn applied(&self) -> Option<ClusterTime> {
        let start_time = || Some(self.record.get().start_time);
        self.status.reported().or_else(start_time)
    }

    pub(crate) async fn update(
        &self,
        change: impl FnOnce(&mut SessionDocument),
    ) -> Result<(), OperatorError> {
        Ok(self.record.update(change).await?)
    }

    /// Writes the session as it is known here once more: a change whose answer was lost may have
    /// been persisted, and was told as one that failed.
    pub(crate) fn persist_again(&self) {
        let (record, end_transactions) = (self.record.clone(), self.end_transactions());
        tokio::spawn(async move {
            end_transactions.await;
            if let Err(error) = record.update(|_| {}).await {
                tracing::info!(error = %error, "the session is not written once more");
            }
        });
    }

    /// Ends what dropped futures have left on the destination: the work's, and those of calls.
    pub(crate) fn end_transactions(&self) -> impl Future<Output = ()> + Send + 'static {
        let client = self.destination.client.clone();
        let name = app_name(observe::VERSION, &self.lease.document().holder);
        async move {
            // Without the right to do so, the server ends them after a minute.
            if let Err(error) = mongo::end_transactions(&client, &name).await {
                tracing::info!(error = %error, "transactions of before are not ended");
            }
        }
    }

    /// Shows the sync as one whose work has failed.
    pub(crate) fn fail(&self, error: OperatorError) {
        fail(&self.work, error);
    }

    fn set_work(&self, work: WorkState) {
        *self.work.lock() = work;
    }

    /// What the sync is pinned to, configured already.
    pub(crate) fn configured(&self) -> Option<Arc<RunningComponents>> {
        self.configured.lock().clone()
    }

    pub(crate) fn set_configured(&self, configured: Arc<RunningComponents>) {
        *self.configured.lock() = Some(configured);
    }

    pub(crate) fn rejected(&self) -> Vec<String> {
        self.rejected.lock().clone()
    }

    pub(crate) fn set_rejected(&self, rejected: Vec<String>) {
        for what in &rejected {
            tracing::warn!(what, "an installed component cannot take over");
        }
        *self.rejected.lock() = rejected;
    }

    /// Asks the work for something. What cannot be asked is not answered.
    pub(crate) async fn request(&self, request: WorkRequest) {
        let task = self.task.lock().await;
        let requests = task.as_ref().map(|task| task.requests.clone());
        // Not held while the work is busy: a stop takes the task.
        drop(task);
        if let Some(requests) = requests {
            // A closed channel drops the wish, and its asker hears of that.
            let _ = requests.send(request).await;
        }
    }

    /// Brings the work to a boundary; `None` if it ends before.
    pub(crate) async fn boundary(&self) -> Option<Result<Boundary, OperatorError>> {
        let (answer, answered) = oneshot::channel();
        self.request(WorkRequest::Boundary(answer)).await;
        answered.await.ok()
    }

    /// Starts the work, from wherever it stands.
    pub(crate) async fn spawn(&self, configured: &RunningComponents) {
        let mut task = self.task.lock().await;
        let (requester, requests) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let work = Work {
            source: self.source.clone(),
            destination: self.lease.destination(&self.destination.client),
            router: configured.router.clone(),
            chain: configured.chain.clone(),
            record: self.record.clone(),
            status: self.status.clone(),
            workers: self.runtime.workers,
            cancel: cancel.clone(),
            commit_time: self.commit_time.subscribe(),
            requests,
        };
        self.status.reset();
        self.status.set_activity(sync::Activity::Initializing);
        self.set_work(WorkState::Working);
        let span = tracing::info_span!("sync", sync_id = self.sync_id());
        let run = run(work, self.work.clone(), self.lease.lost().clone());
        *task = Some(Task {
            cancel,
            handle: tokio::spawn(run.instrument(span)),
            requests: requester,
        });
    }

    /// Stops the work within a second. An error is what kept its position from being persisted; work
    /// that was dropped goes on later from the position before it.
    pub(crate) async fn stop(&self) -> Result<(), OperatorError> {
        let had_failed = self.has_failed();
        let task = self.task.lock().await.take();
        if let Some(Task { cancel, handle, .. }) = task {
            let stopped = stop(&cancel, handle).await;
            tracing::debug!(?stopped, "the work has stopped");
            if stopped == Stop::Unclean {
                // Locks of a transaction that stays open hold up whoever wants the collection, and
                // then all that comes behind: the next renewal of the lease, too.
                _ = timeout(CLEANUP_TIMEOUT, self.end_transactions()).await;
            }
        }
        self.finish_stop(had_failed)
    }

    /// Stops the work for a call: the state stays as it is until the call has been carried out, by
    /// [`Self::spawn`], [`Self::rest`] or [`Self::fail`].
    pub(crate) async fn stop_for_call(&self) -> Result<(), OperatorError> {
        self.stop().await?;
        self.set_work(WorkState::Stopping);
        Ok(())
    }

    /// The call that has stopped the work is carried out.
    pub(crate) fn rest(&self) {
        self.set_work(WorkState::Resting);
    }

    fn has_failed(&self) -> bool {
        let work = self.work.lock();
        matches!(*work, WorkState::Failed(_))
    }

    /// No task works any more.
    fn finish_stop(&self, had_failed: bool) -> Result<(), OperatorError> {
        let mut work = self.work.lock();
        match &*work {
            WorkState::Failed(_) if had_failed => Ok(()),
            WorkState::Failed(error) => Err(error.clone()),
            WorkState::Resting | WorkState::Working | WorkState::Stopping => {
                *work = WorkState::Resting;
                Ok(())
            }
        }
    }
}

/// Does the work, and tells how it has ended.
async fn run(work: Work, state: Arc<Mutex<WorkState>>, lost: CancellationToken) -> Stop {
    let cancel = work.cancel.clone();
    match AssertUnwindSafe(sync::run(work)).catch_unwind().await {
        // A task of the work has gone without an error, as after a panic.
        Ok(Ok(WorkEnd::Stopped)) if !cancel.is_cancelled() => fail(
            &state,
            OperatorError::new(
                ErrorName::InternalError,
                "The sync's work has stopped, and nobody had asked for that. Please report this with the log. The \
                 sync can be resumed.",
            ),
        ),
        Ok(Ok(WorkEnd::Committed)) => {
            tracing::info!("COMMITTED: the sync is done, and the destination can be written to");
            return Stop::Clean;
        }
        Ok(Ok(WorkEnd::Stopped)) => {
            tracing::debug!("the work has stopped at a safe place, as asked");
            return Stop::Clean;
        }
        Ok(Err(sync::Error::Mongo(mongo::Error::Fenced))) => {
            tracing::info!("the sync's work has ended: another host has taken it over");
            lost.cancel();
        }
        Ok(Err(error)) => fail(&state, error.into()),
        Err(_panic) => fail(
            &state,
            OperatorError::new(
                ErrorName::InternalError,
                "The sync's work has panicked. Please report this with the log. The sync can be resumed.",
            ),
        ),
    }
    Stop::Unclean
}

fn fail(work: &Mutex<WorkState>, error: OperatorError) {
    if error.name == ErrorName::StandbyInstance {
        tracing::info!(error = %error, "the sync's work has ended");
    } else {
        tracing::error!(error = %error, error_code = error.name.as_str(), "the sync has stopped and can be resumed");
    }
    *work.lock() = WorkState::Failed(error);
}
