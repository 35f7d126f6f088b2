//! Resync: the sync goes on although the source's oplog no longer holds its position.
//!
//! A new position is taken at a time T at which the source's catalog is exact. The destination's
//! catalog is brought to it (`reconciliation`), all copied partitions become unseen, to be
//! compared, and one transaction persists all that with the new position. Then the stream begins at
//! T, and partitions are compared beside it: what differs is written, and nothing else.
//!
//! Invariant: until that transaction the persisted position is the lost position, and the session
//! says that a resync has begun. Work that finds this finishes the resync before it opens a stream,
//! although the source may have the lost position again: another member can have a longer oplog. It
//! finds earlier effects by the UUIDs of the destination's collections, and reads the source's
//! catalog once more.

mod catalog_plan;
mod effects;
mod reconciliation;

use std::time::Duration;

use super::{Context, Error, catalog, change_stream, status::Activity};
use crate::{
    metadata::{PositionDocument, ResyncDocument, SessionDocument},
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
    /// Regains the position that was lost with `cause`; `None` finishes a resync of an earlier run.
    /// Pauses first where positions are lost again and again: the source would be read for nothing.
    ///
    /// # Errors
    /// `NamespaceCollision` and the refusals of collections, as at the start; a failure of a cluster;
    /// `Cancelled`.
    pub(super) async fn run(
        &mut self,
        context: &Context,
        cause: Option<&mongo::Error>,
    ) -> Result<(), Error> {
        let at_once = self.last.is_some_and(|last| last.elapsed() < AT_ONCE);
        self.in_a_row = if at_once { self.in_a_row + 1 } else { 0 };
        let pause = Duration::from_secs(u64::from(self.in_a_row)).min(MAX_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.cancel.cancelled() => return Err(Error::Cancelled),
        }
        context.status.set_activity(Activity::Resync);
        if let Some(cause) = cause.filter(|_| !is_begun(context)) {
            begin(context, cause).await?;
        }
        failpoint("resync_begun");
        regain(context).await?;
        self.last = Some(Moment::now());
        Ok(())
    }
}

/// Whether a resync has begun and its new position is not persisted.
pub(super) fn is_begun(context: &Context) -> bool {
    let session = context.record.get();
    session.resyncs.last().is_some_and(|last| last.to.is_none())
}

/// Notes that all collections are compared.
pub(super) async fn finish(context: &Context) -> Result<(), Error> {
    let session = context.record.get();
    if session.resyncs.last().is_none_or(|last| last.done) {
        return Ok(());
    }
    let finish = |session: &mut SessionDocument| {
        let last = session.resyncs.last_mut();
        last.into_iter().for_each(|last| last.done = true);
    };
    context.record.update(finish).await?;
    tracing::info!("resync: all collections are compared");
    Ok(())
}

/// Persists the beginning. The effects on the destination's catalog follow.
async fn begin(context: &Context, cause: &mongo::Error) -> Result<(), Error> {
    let start_time = context.record.get().start_time;
    let lost = context.store.position().await?;
    let from = lost.map_or(start_time, |lost| lost.safe.cluster_time);
    tracing::warn!(error = %cause, cluster_time = %from, "the position is lost, and all collections are compared");
    let entry = ResyncDocument {
        at: listing::local_time(&context.destination.reads()).await?,
        reason: cause.to_string(),
        from,
        to: None,
        done: false,
    };
    let begin = |session: &mut SessionDocument| {
        // The comparison of an earlier resync is part of this one.
        let earlier = session.resyncs.iter_mut();
        earlier.for_each(|earlier| earlier.done = true);
        session.resyncs.push(entry);
    };
    Ok(context.record.update(begin).await?)
}

/// Takes a new position and marks all collections to be compared. The stream has ended, and no
/// other work is done for the sync.
///
/// Cancel safe as a kill is.
async fn regain(context: &Context) -> Result<(), Error> {
    let lost = context.store.position().await?;
    let catalog = catalog::capture(&context.source, &context.scope).await?;
    let position = change_stream::position_at(&context.source, catalog.time).await?;
    let reconciliation = reconcile(context, &catalog, lost.as_ref()).await?;
    failpoint("resync_reconciled");
    let position = PositionDocument {
        id: PositionDocument::ID.to_owned(),
        safe: position,
        // Covers documents of all partitions that are not begun yet.
        exact_after: listing::operation_time(&context.source).await?,
        events_applied: lost.as_ref().map_or(0, |lost| lost.events_applied),
        clean: false,
        copied: lost.map(|lost| lost.copied).unwrap_or_default(),
    };
    persist(context, &reconciliation, &position).await?;
    failpoint("resync_persisted");
    forget(context, &reconciliation);
    context.status.set_safe(catalog.time);
    tracing::info!(cluster_time = %catalog.time, collections = reconciliation.namespaces.len(), "resync: comparing collections");
    Ok(())
}

/// Persists the new position with everything that depends on it, in one transaction.
async fn persist(
    context: &Context,
    reconciliation: &Reconciliation,
    position: &PositionDocument,
) -> Result<(), Error> {
    let store = &context.store;
    // First, since removals of partitions follow for namespaces that are gone or copied anew.
    let mut changes = store.comparison_of_all()?;
    changes.extend(reconciliation.changes.iter().cloned());
    changes.push(store.namespaces_change(&reconciliation.namespaces)?);
    changes.push(store.position_change(position)?);
    let to = position.safe.cluster_time;
    let go_on = |session: &mut SessionDocument| {
        let last = session.resyncs.last_mut();
        last.into_iter().for_each(|last| last.to = Some(to));
        session.recopy.clear();
    };
    Ok(context.record.update_with(go_on, changes).await?)
}

/// Forgets what is shown and held of collections: the next stream shows them as persisted.
fn forget(context: &Context, reconciliation: &Reconciliation) {
    let status = &context.status;
    let known = reconciliation.namespaces.iter();
    for namespace in known.chain(&reconciliation.gone) {
        context.quarantine.forget(status, &namespace.id);
    }
    status.reset();
}
