//! Requests of the session, served at a boundary between two rounds.

use super::{Error, event_application::EventApplication, quarantine_retry};
use crate::{
    model::{ErrorName, OperatorError},
    sync::boundary::{self, Continuation, WorkRequest},
};

impl EventApplication {
    /// Serves a request. All earlier rounds are applied first, so no applier holds an older version
    /// of a document, and no document of the stream is with a plugin.
    pub(super) async fn serve(&mut self, request: WorkRequest) -> Result<(), Error> {
        self.finish_rounds().await?;
        let time = self.position.time();
        match request {
            WorkRequest::RetryQuarantined(answer) => {
                let retried = if self.context.partitions.is_idle() {
                    let retried = quarantine_retry::all(
                        &self.context,
                        &self.tracked_collections,
                        &self.exactness,
                        time,
                    );
                    retried.await.map_err(OperatorError::from)
                } else {
                    Err(copying())
                };
                // The receiver is gone if the call was cut off.
                let _ = answer.send(retried);
            }
            WorkRequest::RepairMismatches => self.context.verification.repair(),
            WorkRequest::VerifyAgain => self.context.verification.restart(),
            WorkRequest::Boundary(answer) => {
                self.persist(false).await?;
                // Plugins may answer otherwise from now on.
                self.context.verification.interrupt().await;
                let then = boundary::hold(&self.context, answer, time).await;
                if then != Continuation::Unchanged {
                    self.tracked_collections.refresh(&self.context)?;
                    self.forget_transformed().await;
                }
                if then == Continuation::CopyAgain {
                    let listed = self.context.record.get().recopy;
                    self.compare_again(&listed).await?;
                    let cleared = self.context.record.update(|session| session.recopy.clear());
                    cleared.await?;
                }
            }
        }
        Ok(())
    }
}

/// A retry would write documents into partitions that are not copied yet.
fn copying() -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        "Quarantined documents cannot be retried while collections are copied. Wait until /progress \
         shows `change event application`.",
    )
}
