//! Resync: the sync goes on although the source's oplog no longer holds its position.
//!
//! A new position is taken at a time T at which the source's catalog is exact. The destination's
//! catalog is brought to it (`reconciliation`), all copied partitions become unseen, to be
//! compared, and one transaction persists all that with the new position. Then the stream begins at
//! T, and partitions are compared beside it: what differs is written, and nothing else.
//!
//! Invariant: until that transaction the persisted position is the lost position. So a crash at any
//! point before it leads to another resync, which finds the effects of the first by the UUIDs of the
//! destination's collections, and reads the source's catalog anew.

mod catalog_plan;
mod effects;
mod reconciliation;

use std::time::Duration;

use super::{Context, Error, catalog, change_stream, status::Activity};
use crate::{
    metadata::{NamespaceKind, PositionDocument, ResyncDocument, SessionDocument},
    model::progress::CollectionProgress,
    mongo::{self, Moment, listing},
    observe::failpoint,
};
use reconciliation::{Reconciliation, reconcile};

/// Longest pause before a resync that follows another at once.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A position that is lost within this time after a resync was lost at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// The resyncs of one run of the work.
#[derive(Default)]
pub(super) struct Resyncs {
    last: Option<Moment>,
    /// The number of resyncs that followed another at once.
    in_a_row: u32,
}

impl Resyncs {
    /// Regains the position that was lost with `cause`. Pauses first where positions are lost again
    /// and again: the source would be read for nothing.
    ///
    /// # Errors
    /// Those of [`run`]; `Cancelled`.
    pub(super) async fn run(
        &mut self,
        context: &Context,
        cause: &mongo::Error,
    ) -> Result<(), Error> {
        let at_once = self.last.is_some_and(|last| last.elapsed() < AT_ONCE);
        self.in_a_row = if at_once { self.in_a_row + 1 } else { 0 };
        let pause = Duration::from_secs(u64::from(self.in_a_row)).min(MAX_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.cancel.cancelled() => return Err(Error::Cancelled),
        }
        run(context, cause).await?;
        self.last = Some(Moment::now());
        Ok(())
    }
}

/// Takes a new position and marks all collections to be compared. The stream has ended, and no
/// other work is done for the sync.
///
/// Cancel safe as a kill is.
///
/// # Errors
/// `NamespaceCollision` and the refusals of collections, as at the start; a failure of a cluster.
async fn run(context: &Context, cause: &mongo::Error) -> Result<(), Error> {
    failpoint("resync_begun");
    context.status.set_activity(Activity::Resync);
    let session = context.record.get();
    let lost = context.store.position().await?;
    let from = lost
        .as_ref()
        .map_or(session.start_time, |lost| lost.safe.cluster_time);
    tracing::warn!(error = %cause, cluster_time = %from, "the position is lost: resync");
    let catalog = catalog::capture(&context.source, &context.scope).await?;
    let position = change_stream::position_at(&context.source, catalog.time).await?;
    let reconciliation = reconcile(context, &catalog, lost.as_ref()).await?;
    failpoint("resync_reconciled");
    let position = PositionDocument {
        id: PositionDocument::ID.to_owned(),
        safe: position,
        // Documents of no partition are as new as the last look-up.
        exact_after: listing::operation_time(&context.source).await?,
        events_applied: lost.as_ref().map_or(0, |lost| lost.events_applied),
        clean: false,
        copied: lost.map(|lost| lost.copied).unwrap_or_default(),
    };
    let entry = ResyncDocument {
        at: listing::local_time(&context.destination.reads()).await?,
        reason: cause.to_string(),
        from,
        to: catalog.time,
        done: false,
    };
    persist(context, &reconciliation, &position, entry).await?;
    failpoint("resync_persisted");
    show(context, &reconciliation);
    context.status.set_safe(catalog.time);
    tracing::info!(cluster_time = %catalog.time, collections = reconciliation.namespaces.len(), "resync: comparing collections");
    Ok(())
}

/// Persists the new position with everything that depends on it, in one transaction.
async fn persist(
    context: &Context,
    reconciliation: &Reconciliation,
    position: &PositionDocument,
    entry: ResyncDocument,
) -> Result<(), Error> {
    let store = &context.store;
    // First, since removals of partitions follow for namespaces that are gone or copied anew.
    let mut changes = store.comparison_of_all()?;
    changes.extend(reconciliation.changes.iter().cloned());
    changes.push(store.namespaces_change(&reconciliation.namespaces)?);
    changes.push(store.position_change(position)?);
    let add = |session: &mut SessionDocument| {
        // The comparison of an earlier resync is part of this one.
        session
            .resyncs
            .iter_mut()
            .for_each(|earlier| earlier.done = true);
        session.resyncs.push(entry);
        session.recopy.clear();
    };
    Ok(context.record.update_with(add, changes).await?)
}

/// Shows the collections as of the new position.
fn show(context: &Context, reconciliation: &Reconciliation) {
    let status = &context.status;
    for gone in &reconciliation.gone {
        context.quarantine.forget(status, &gone.id);
        status.remove_collection(&gone.source);
    }
    for renamed in &reconciliation.earlier_names {
        status.remove_collection(renamed);
    }
    for namespace in &reconciliation.namespaces {
        context.quarantine.forget(status, &namespace.id);
        if namespace.kind == NamespaceKind::Collection {
            status.set_collection(CollectionProgress {
                namespace: namespace.source.clone(),
                destination: namespace.destination.clone(),
                state: "pending",
                documents: 0,
                bytes: 0,
            });
        }
    }
}
