//! Requests of the session, served at a boundary between two rounds.

use tokio::sync::mpsc;

use super::{
    Error, event_application::EventApplication, quarantine_retry,
    tracked_collections::TrackedCollections,
};
use crate::{
    metadata::{CopyState, NamespaceKind},
    model::OperatorError,
    mongo::listing,
    observe::failpoint,
    sync::{
        boundary::{self, Continuation, WorkRequest},
        copy::{self, invalidation},
        index_build,
        status::Activity,
    },
};

impl EventApplication {
    /// Serves a request. All earlier rounds are applied first, so no applier holds an older version
    /// of a document, and no document is with a plugin.
    pub(super) async fn serve(
        &mut self,
        request: WorkRequest,
        requests: &mut mpsc::Receiver<WorkRequest>,
    ) -> Result<(), Error> {
        self.finish_rounds().await?;
        let time = self.position.time();
        match request {
            WorkRequest::RetryQuarantined(answer) => {
                let retried = quarantine_retry::all(
                    &self.context,
                    &self.tracked_collections,
                    &self.exactness,
                    time,
                )
                .await;
                // The receiver is gone if the call was cut off.
                let _ = answer.send(retried.map_err(OperatorError::from));
            }
            WorkRequest::Boundary(answer) => {
                self.position.persist(false).await?;
                let then = boundary::hold(&self.context, answer, time, false).await;
                if then != Continuation::Unchanged {
                    self.tracked_collections.refresh(&self.context)?;
                }
                if then == Continuation::CopyAgain {
                    self.context.status.set_activity(Activity::Recopy);
                    invalidation::mark_pending_in(&self.context).await?;
                    self.copy_pending(requests).await?;
                    self.context
                        .status
                        .set_activity(Activity::ChangeEventApplication);
                }
            }
        }
        Ok(())
    }

    /// Copies pending collections before anything else is applied: collections that a swap wants
    /// copied again, and a collection that a crash has left half copied after a rename brought it
    /// into scope, whose event comes again and finds it. Their documents are then newer than the
    /// next events.
    pub(super) async fn copy_pending(
        &mut self,
        requests: &mut mpsc::Receiver<WorkRequest>,
    ) -> Result<(), Error> {
        let mut pending = self.context.store.namespaces().await?;
        pending.retain(|namespace| {
            namespace.kind == NamespaceKind::Collection && namespace.copy_state < CopyState::Ready
        });
        if pending.is_empty() {
            return Ok(());
        }
        tracing::info!(collections = pending.len(), "copying again");
        let context = self.context.clone();
        context.status.set_activity(Activity::Recopy);
        let after = self.position.time();
        let work = async {
            copy::copy_all(&context, pending, after).await?;
            index_build::build_all(&context).await
        };
        boundary::copy_and_serve(&context, requests, Some(after), work).await?;
        self.exactness
            .raise(listing::operation_time(&context.source).await?);
        self.tracked_collections = TrackedCollections::load(&context).await?;
        failpoint("recopy_done");
        Ok(())
    }
}
