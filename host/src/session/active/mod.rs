//! An active sync, and the task that does its work.

mod hook_failures;
pub(super) mod state;
mod stop;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
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
    sync::{
        self, BlockKeeper, Boundary, ItemHolders, Record, Status, Work, WorkEnd, WorkRequest,
        Workers,
    },
};
use hook_failures::HookFailures;
use state::{SyncState, WorkState};
use stop::{CLEANUP_TIMEOUT, Stop, stop};

/// The share of the host's context that an active sync keeps.
#[derive(Clone)]
pub(crate) struct Runtime {
    /// `--id` of this host.
    pub(crate) instance: String,
    /// Components that this host can run.
    pub(crate) registry: Arc<Registry>,
    /// Number of concurrent tasks, from `loadLevel`.
    pub(crate) workers: Workers,
    /// Other hosts, which get a part of the work.
    pub(crate) holders: Arc<ItemHolders>,
}

/// The configured router and chain of a sync.
pub(crate) struct RunningComponents {
    /// Decides which namespaces are synced, and under which names.
    pub(crate) router: Arc<Router>,
    /// Filters and transforms the documents.
    pub(crate) chain: Arc<Chain>,
}

/// A sync that this host works on, or could work on while it is paused. Exists while this host holds the lease.
pub(crate) struct ActiveSync {
    pub(crate) runtime: Runtime,
    pub(crate) source: Cluster,
    pub(crate) destination: Cluster,
    pub(crate) lease: Lease,
    /// The session document: in memory, and persisted.
    pub(crate) record: Arc<Record>,
    /// Live figures of the work.
    pub(crate) status: Arc<Status>,
    task: AsyncMutex<Option<Task>>,
    work: Arc<Mutex<WorkState>>,
    /// The pinned components, configured, with their counters. `None` until the first use.
    configured: Mutex<Option<Arc<RunningComponents>>>,
    /// Newer installed components that were not adopted, each with the reason.
    rejected: Mutex<Vec<String>>,
    /// Pause of the takeover by this host, in milliseconds.
    paused_ms: Arc<OnceLock<i64>>,
    /// Keeps the write blocks as the session wants them, whether or not a task works.
    _blocks: BlockKeeper,
    /// Hooks that do not receive.
    pub(crate) hook_failures: HookFailures,
}

/// The running task of the work.
struct Task {
    cancel: CancellationToken,
    handle: JoinHandle<Stop>,
    requests: mpsc::Sender<WorkRequest>,
}

impl ActiveSync {
    /// A sync without a running task. Its session is already persisted.
    pub(crate) fn new(
        runtime: Runtime,
        (source, destination): (Cluster, Cluster),
        lease: Lease,
        record: Record,
        status: Arc<Status>,
    ) -> Self {
        let document = record.get();
        if let Some(level) = document.options.load_level {
            runtime.workers.set_load_level(level);
        }
        let record = Arc::new(record);
        let clients = (&source.client, &destination.client);
        Self {
            _blocks: BlockKeeper::start(clients, &lease.fence(), &record, &status),
            runtime,
            source,
            destination,
            lease,
            record,
            status,
            task: AsyncMutex::default(),
            work: Arc::default(),
            configured: Mutex::default(),
            rejected: Mutex::default(),
            paused_ms: Arc::default(),
            hook_failures: HookFailures::default(),
        }
    }

    /// Pause of the takeover by this host, in milliseconds. `None` until it has been measured.
    pub(crate) fn paused_ms(&self) -> Option<i64> {
        self.paused_ms.get().copied()
    }

    /// The cell for the pause of this takeover. Set once, when the pause has been measured.
    pub(crate) fn pause(&self) -> Arc<OnceLock<i64>> {
        self.paused_ms.clone()
    }

    /// The current state of the sync.
    pub(crate) fn state(&self) -> SyncState {
        let work = self.work.lock().clone();
        SyncState::of(self.record.get().state, &work)
    }

    /// The failure that has stopped the work; `None` while it works, and after a stop on request.
    pub(crate) fn failure(&self) -> Option<OperatorError> {
        match &*self.work.lock() {
            WorkState::Failed(error) if error.name != ErrorName::StandbyInstance => {
                Some(error.clone())
            }
            _ => None,
        }
    }

    /// The id of the sync.
    pub(crate) fn sync_id(&self) -> String {
        self.record.get().sync_id()
    }

    /// The cluster time up to which changes of the source are applied. Before the first event it is the start
    /// time, because the copy is at least that recent.
    pub(crate) fn applied(&self) -> Option<ClusterTime> {
        let start_time = || Some(self.record.get().start_time);
        self.status.reported().or_else(start_time)
    }

    /// Changes the session document. The change is persisted before it becomes visible.
    ///
    /// # Errors
    ///
    /// After an error nothing has changed here; the change may still have been persisted.
    pub(crate) async fn update(
        &self,
        change: impl FnOnce(&mut SessionDocument),
    ) -> Result<(), OperatorError> {
        Ok(self.record.update(change).await?)
    }

    /// Persists the current session again, in the background. A change whose reply was lost may have been
    /// persisted although the call was answered with an error.
    pub(crate) fn persist_again(&self) {
        let (record, end_transactions) = (self.record.clone(), self.end_transactions());
        tokio::spawn(async move {
            end_transactions.await;
            if let Err(error) = record.update(|_| {}).await {
                tracing::info!(error = %error, "the session was not persisted again");
            }
        });
    }

    /// Ends the transactions that dropped futures have left open on the destination.
    pub(crate) fn end_transactions(&self) -> impl Future<Output = ()> + Send + 'static {
        let client = self.destination.client.clone();
        let name = app_name(observe::VERSION, &self.lease.document().holder);
        async move {
            // Without the privilege, the server ends them itself after `transactionLifetimeLimitSeconds`, a
            // minute by default.
            if let Err(error) = mongo::end_transactions(&client, &name).await {
                tracing::info!(error = %error, "open transactions were not ended");
            }
        }
    }

    /// Marks the work as failed: the state is PAUSED with this error.
    pub(crate) fn fail(&self, error: OperatorError) {
        fail(&self.work, error);
    }

    fn set_work(&self, work: WorkState) {
        *self.work.lock() = work;
    }

    /// The running components, if they have been configured.
    pub(crate) fn configured(&self) -> Option<Arc<RunningComponents>> {
        self.configured.lock().clone()
    }

    /// Sets the running components, after they were configured or adopted.
    pub(crate) fn set_configured(&self, configured: Arc<RunningComponents>) {
        *self.configured.lock() = Some(configured);
    }

    /// Newer installed components that were not adopted, each with the reason.
    pub(crate) fn rejected(&self) -> Vec<String> {
        self.rejected.lock().clone()
    }

    /// Records and logs the components that were not adopted.
    pub(crate) fn set_rejected(&self, rejected: Vec<String>) {
        for what in &rejected {
            tracing::warn!(what, "an installed component was not adopted");
        }
        *self.rejected.lock() = rejected;
    }

    /// Sends a request to the work. Without a running task the request is dropped, which its sender sees on the
    /// reply channel.
    pub(crate) async fn request(&self, request: WorkRequest) {
        let task = self.task.lock().await;
        let requests = task.as_ref().map(|task| task.requests.clone());
        // Not held while the work is busy: `stop` needs the task.
        drop(task);
        if let Some(requests) = requests {
            // A closed channel drops the request, and with it the sender of the reply.
            let _ = requests.send(request).await;
        }
    }

    /// Brings the work to a boundary. `None` if the work ends first.
    pub(crate) async fn boundary(&self) -> Option<Result<Boundary, OperatorError>> {
        let (answer, answered) = oneshot::channel();
        self.request(WorkRequest::Boundary(answer)).await;
        answered.await.ok()
    }

    /// Starts the work, from its persisted phase and position.
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
            workers: self.runtime.workers.clone(),
            holders: self.runtime.holders.clone(),
            cancel: cancel.clone(),
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

    /// Stops the work within a second. Idempotent.
    ///
    /// # Errors
    ///
    /// The error that kept the position from being persisted. Dropped work continues later from the previous
    /// position.
    pub(crate) async fn stop(&self) -> Result<(), OperatorError> {
        let had_failed = self.has_failed();
        let task = self.task.lock().await.take();
        if let Some(Task { cancel, handle, .. }) = task {
            let stopped = stop(&cancel, handle).await;
            tracing::debug!(?stopped, "the work has stopped");
            if stopped == Stop::Unclean {
                // Locks of an open transaction block every operation that needs the collection, and everything
                // queued after it, including the next renewal of the lease.
                _ = timeout(CLEANUP_TIMEOUT, self.end_transactions()).await;
            }
        }
        self.finish_stop(had_failed)
    }

    /// Stops the work for a call. The state stays as it was until the call ends with [`Self::spawn`],
    /// [`Self::rest`] or [`Self::fail`].
    pub(crate) async fn stop_for_call(&self) -> Result<(), OperatorError> {
        self.stop().await?;
        self.set_work(WorkState::Stopping);
        Ok(())
    }

    /// Ends a call that has stopped the work for good.
    pub(crate) fn rest(&self) {
        self.set_work(WorkState::Resting);
    }

    fn has_failed(&self) -> bool {
        let work = self.work.lock();
        matches!(*work, WorkState::Failed(_))
    }

    /// Records that no task is running.
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

/// Runs the work and records how it ended.
async fn run(work: Work, state: Arc<Mutex<WorkState>>, lost: CancellationToken) -> Stop {
    let cancel = work.cancel.clone();
    match AssertUnwindSafe(Box::pin(sync::run(work)))
        .catch_unwind()
        .await
    {
        // A task of the work ended without an error, as after a panic.
        Ok(Ok(WorkEnd::Stopped)) if !cancel.is_cancelled() => fail(
            &state,
            OperatorError::new(
                ErrorName::InternalError,
                "The work of the sync has stopped without a request. Please report this with the log. The sync can \
                 be resumed.",
            ),
        ),
        Ok(Ok(WorkEnd::Committed)) => {
            tracing::info!("COMMITTED: the sync is done, and the destination can be written to");
            return Stop::Clean;
        }
        Ok(Ok(WorkEnd::Stopped)) => {
            tracing::debug!("the work has stopped at a safe point, as requested");
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
                "The work of the sync has panicked. Please report this with the log. The sync can be resumed.",
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
