//! Requests of the session, served between rounds.

use tokio::sync::mpsc;

use super::{Error, event_pipeline::EventPipeline, quarantine_retry, targets::Targets};
use crate::{
    metadata::{CopyState, NamespaceKind},
    model::OperatorError,
    mongo::listing,
    observe::failpoint,
    sync::{
        boundary::{self, Then, Wish},
        copy::{self, invalidation},
        index_build,
        status::Step,
    },
};

impl EventPipeline {
    /// Everything before is applied first, so that no applier holds an older version, and
    /// nothing is with a plugin.
    pub(super) async fn grant(
        &mut self,
        wish: Wish,
        wishes: &mut mpsc::Receiver<Wish>,
    ) -> Result<(), Error> {
        self.finish_rounds().await?;
        let time = self.position.time();
        match wish {
            Wish::RetryQuarantined(answer) => {
                let retried =
                    quarantine_retry::all(&self.context, &self.targets, &self.exactness, time)
                        .await;
                // The call may have been cut off.
                let _ = answer.send(retried.map_err(OperatorError::from));
            }
            Wish::Boundary(answer) => {
                self.position.persist(false).await?;
                let then = boundary::stay(&self.context, answer, time, false).await;
                if then != Then::Same {
                    self.targets.refresh(&self.context)?;
                }
                if then == Then::CopyAgain {
                    self.context.status.set_step(Step::Recopy);
                    invalidation::mark_in(&self.context).await?;
                    self.copy_pending(wishes).await?;
                    self.context.status.set_step(Step::ChangeEventApplication);
                }
            }
        }
        Ok(())
    }

    /// Copies what is pending, before anything else is applied: what a swap wants copied again,
    /// and what a crash has left of a collection that a rename brought into scope, whose
    /// event comes again and finds it. Documents are then newer than the events after the
    /// position.
    pub(super) async fn copy_pending(
        &mut self,
        wishes: &mut mpsc::Receiver<Wish>,
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
        context.status.set_step(Step::Recopy);
        let after = self.position.time();
        let work = async {
            copy::copy_all(&context, pending, after).await?;
            index_build::build_all(&context).await
        };
        boundary::while_copying(&context, wishes, Some(after), work).await?;
        self.exactness
            .raise(listing::operation_time(&context.source).await?);
        self.targets = Targets::load(&context).await?;
        failpoint("recopy_done");
        Ok(())
    }
}
