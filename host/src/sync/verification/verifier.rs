//! The verifier: a task beside the stream, which takes one slice after another.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Error, Verification, VerifiedClusters,
    finish::{show, show_collections},
    progress::VerificationState,
    scan::SliceDeadline,
    slice::{Slice, SliceEnd},
};
use crate::{
    metadata::MismatchState,
    model::{Position, options::OnMismatch},
    mongo,
    observe::shortened,
    sync::throttle::Throttle,
};

/// The time of a slice, of which the stream keeps the changed keys.
const SLICE: Duration = Duration::from_secs(15);
/// The same where the source reads snapshots in transactions alone: DDL of applications waits for a transaction there, and
/// all else on that collection waits for the DDL.
const SLICE_IN_TRANSACTIONS: Duration = Duration::from_secs(3);
/// The time between two slices while nothing is left but changes.
const PAUSE: Duration = Duration::from_secs(3);
/// The time after a slice that has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The outcome of reading the events between the persisted verification and the persisted position once more.
pub(crate) enum Recovery {
    /// Their keys are dirty.
    Done,
    /// The oplog no longer holds them, they are too many, or a component was swapped meanwhile.
    Lost,
}

/// The running verifier. Dropping it ends its task.
pub(crate) struct Verifier {
    _task: AbortOnDropHandle<()>,
}

struct VerifierTask {
    clusters: VerifiedClusters,
    verification: Arc<Verification>,
    throttle: Throttle,
    cancel: CancellationToken,
    state: VerificationState,
    /// All collections are verified again for a commit, since writes of other clients are not known.
    verified_for_commit: bool,
}

impl Verifier {
    /// Starts the task. `recover` marks the keys of events after the given position as dirty.
    pub(crate) async fn start<R>(
        clusters: VerifiedClusters,
        verification: &Arc<Verification>,
        throttle: &Throttle,
        cancel: &CancellationToken,
        recover: impl FnOnce(Position) -> R + Send + 'static,
    ) -> Self
    where
        R: Future<Output = Result<Recovery, Error>> + Send + 'static,
    {
        verification.begin().await;
        let task = VerifierTask {
            clusters,
            verification: verification.clone(),
            throttle: throttle.clone(),
            cancel: cancel.clone(),
            state: VerificationState::default(),
            verified_for_commit: false,
        };
        Self {
            _task: AbortOnDropHandle::new(tokio::spawn(task.run(recover))),
        }
    }
}

impl VerifierTask {
    async fn run<R>(mut self, recover: impl FnOnce(Position) -> R)
    where
        R: Future<Output = Result<Recovery, Error>>,
    {
        match self.begin(recover).await {
            Ok(()) => {}
            Err(error) => {
                // Nothing is known, so everything is verified.
                tracing::info!(error = %error, "the state of the verification could not be read; all is verified");
                self.state = VerificationState::default();
            }
        }
        loop {
            let pause = match self.slice().await {
                Ok(Some(pause)) => pause,
                Ok(None) | Err(Error::Cancelled | Error::Mongo(mongo::Error::Fenced)) => return,
                Err(error) => {
                    tracing::info!(error = %error, "a slice of the verification failed");
                    self.verification
                        .figures
                        .set_failure(Some(error.to_string()));
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = self.verification.hurried(), if !pause.is_zero() && pause != AFTER_FAILURE => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn begin<R>(&mut self, recover: impl FnOnce(Position) -> R) -> Result<(), Error>
    where
        R: Future<Output = Result<Recovery, Error>>,
    {
        self.state = VerificationState::load(&self.clusters).await?;
        if let Some(position) = self.state.position.clone() {
            match recover(position).await {
                Ok(Recovery::Done) => {}
                Ok(Recovery::Lost) => self.state.reset_all(),
                Err(error) => {
                    tracing::info!(error = %error, "events could not be read once more; all is verified again");
                    self.state.reset_all();
                }
            }
        }
        show(&self.verification, &self.state);
        Ok(())
    }

    /// Takes a slice. Returns the time until the next; `None` at the end of work.
    async fn slice(&mut self) -> Result<Option<Duration>, Error> {
        let Some(boundary) = self.verification.next_boundary().await else {
            return Ok(None);
        };
        if self.verification.takes_restart() {
            self.state.reset_all();
        }
        let collections = boundary.collections.clone();
        let longest = match self.clusters.source.features().await?.snapshot_reads {
            true => SLICE,
            false => SLICE_IN_TRANSACTIONS,
        };
        let end = Slice {
            clusters: &self.clusters,
            throttle: &self.throttle,
            verification: &self.verification,
            state: &mut self.state,
            deadline: SliceDeadline::after(shortened("TIDEGATE_SLICE_SECONDS", longest)),
        }
        .run(boundary)
        .await?;
        show_collections(&self.verification, &collections, &self.state);
        let incomplete = self.settle(&end).await?;
        show(&self.verification, &self.state);
        self.verification.figures.set_failure(end.held_up);
        Ok(Some(match (incomplete, end.keys_compared) {
            (true, _) if end.is_stalled => AFTER_FAILURE,
            (true, _) => Duration::ZERO,
            (false, false) => AFTER_FAILURE,
            (false, true) => shortened("TIDEGATE_VERIFICATION_PAUSE_SECONDS", PAUSE),
        }))
    }

    /// Decides what a slice leads to. Returns whether collections are left.
    async fn settle(&mut self, end: &SliceEnd) -> Result<bool, Error> {
        self.verification
            .figures
            .set_sees_foreign_writes(end.sees_foreign_writes);
        let is_closing = self.verification.is_closing();
        if is_closing && !end.sees_foreign_writes && !self.verified_for_commit {
            tracing::info!(
                "others may have written on the destination: all is verified again for the commit"
            );
            self.verified_for_commit = true;
            self.state.reset_all();
        }
        let repairs = self.repair().await?;
        let incomplete = self.state.incomplete_without_missing() > 0;
        self.verification
            .set_complete(is_closing && !incomplete && !repairs && end.keys_compared);
        Ok(incomplete)
    }

    /// Asks the event loop to write documents again. Returns whether a repair is under way.
    async fn repair(&mut self) -> Result<bool, Error> {
        let wanted = self.verification.options.on_mismatch == OnMismatch::Repair
            || self.verification.takes_repair();
        if !wanted {
            return Ok(false);
        }
        let mut repairs = Vec::new();
        for mismatch in self.state.mismatches.values_mut() {
            if mismatch.document_id.is_some() {
                mismatch.state = MismatchState::Repairing;
                repairs.push(mismatch.clone());
            }
        }
        if repairs.is_empty() {
            return Ok(false);
        }
        repairs.sort_by(|a, b| a.namespace_id.cmp(&b.namespace_id));
        // Persisted before the documents are written, so that the log has each repair.
        self.verification
            .persist(self.clusters.store.put_mismatches(&repairs))
            .await?;
        self.verification.ask_repairs(repairs);
        Ok(true)
    }
}
