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

use std::{fmt, time::Duration};

use super::{
    Context, Error, catalog,
    change_stream::{self, Events},
    plan::has_buckets,
    status::Activity,
};
use crate::{
    metadata::{PositionDocument, ResyncDocument, SessionDocument},
    model::{ErrorName, OperatorError},
    mongo::{self, Moment, listing},
    observe::failpoint,
};
use reconciliation::{Reconciliation, reconcile};

/// Longest pause before a resync that follows another at once.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A position that is lost within this time after a resync was lost at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// How often a resync begins again that meets a lost position itself. The pauses before add up to
/// 15 seconds.
const MAX_ATTEMPTS: u32 = 6;

/// The reason for a resync.
#[derive(Clone, Copy)]
pub(super) enum ResyncCause<'e> {
    /// The source does not hold the position.
    PositionLost(&'e mongo::Error),
    /// The source's catalog has changed without an event.
    HiddenDdl,
}

impl fmt::Display for ResyncCause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PositionLost(error) => error.fmt(f),
            Self::HiddenDdl => write!(f, "{}", Error::HiddenDdl),
        }
    }
}

/// The resyncs of one run of the work.
#[derive(Default)]
pub(super) struct Resyncs {
    pace: Pace,
}

/// The pauses before resyncs: a source that loses positions again and again would be read for
/// nothing.
#[derive(Default)]
struct Pace {
    last: Option<Moment>,
    /// The number of resyncs that followed another at once.
    in_a_row: u32,
}

impl Resyncs {
    /// Takes a new position for `cause`; `None` finishes a resync of an earlier run.
    /// Begins again where the source answers that it does not hold what the resync asks for.
    ///
    /// # Errors
    /// `NamespaceCollision` and the refusals of collections, as at the start; `OplogRolledOver`
    /// after the last attempt; a failure of a cluster; `Cancelled`.
    pub(super) async fn run(
        &mut self,
        context: &Context,
        cause: Option<ResyncCause<'_>>,
    ) -> Result<(), Error> {
        let mut cause = cause;
        for attempt in 1.. {
            self.pause(context).await?;
            context.status.set_activity(Activity::Resync);
            if let Some(cause) = cause.take().filter(|_| !is_begun(context)) {
                begin(context, cause).await?;
            }
            failpoint("resync_begun");
            let regained = regain(context).await;
            self.pace.last = Some(Moment::now());
            match regained {
                Err(Error::Mongo(error)) if error.is_position_lost() => {
                    if attempt == MAX_ATTEMPTS {
                        return Err(never_regained(&error).into());
                    }
                    tracing::info!(error = %error, "the resync begins again");
                    // Commands of this attempt may still arrive.
                    context.store.begin_work().await?;
                }
                regained => return regained,
            }
        }
        Ok(())
    }

    async fn pause(&mut self, context: &Context) -> Result<(), Error> {
        tokio::select! {
            () = tokio::time::sleep(self.pace.pause(Moment::now())) => Ok(()),
            () = context.cancel.cancelled() => Err(Error::Cancelled),
        }
    }
}

impl Pace {
    /// The pause before a resync that is wanted `now`.
    fn pause(&mut self, now: Moment) -> Duration {
        let at_once = self.last.is_some_and(|last| now.since(last) < AT_ONCE);
        self.in_a_row = if at_once { self.in_a_row + 1 } else { 0 };
        Duration::from_secs(u64::from(self.in_a_row)).min(MAX_PAUSE)
    }
}

fn never_regained(error: &mongo::Error) -> OperatorError {
    OperatorError::new(
        ErrorName::OplogRolledOver,
        format!(
            "The sync has lost its position, and the source has refused a new one {MAX_ATTEMPTS} times in a row. \
             Enlarge the source's oplog, and resume: the sync goes on by itself. The cause: {error}."
        ),
    )
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
async fn begin(context: &Context, cause: ResyncCause<'_>) -> Result<(), Error> {
    let start_time = context.record.get().start_time;
    let lost = context.store.position().await?;
    let from = lost.map_or(start_time, |lost| lost.safe.cluster_time);
    match cause {
        ResyncCause::PositionLost(error) => {
            tracing::warn!(%error, cluster_time = %from, "the position is lost, and all collections are compared");
        }
        ResyncCause::HiddenDdl => {
            tracing::info!(cluster_time = %from, "DDL without an event: all collections are compared");
        }
    }
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
    let session = context.record.get();
    let shows = has_buckets(&catalog.entries) && !session.system_events;
    let events = match shows {
        true => Events::OfAllCollections,
        false => Events::of(&session),
    };
    let position = change_stream::position_at(&context.source, catalog.time, events).await?;
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
    persist(context, &reconciliation, &position, shows).await?;
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
    shows_system_events: bool,
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
        if shows_system_events {
            session.show_system_events();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resyncs_that_follow_at_once_wait_longer_and_longer() {
        let mut pace = Pace::default();
        let mut now = Moment::now();
        let mut pauses = Vec::new();
        for _ in 0..33 {
            let pause = pace.pause(now);
            pauses.push(pause.as_secs());
            // The resync takes a second, and its position is lost after another.
            pace.last = Some(now + pause + Duration::from_secs(1));
            now = now + pause + Duration::from_secs(2);
        }
        let expected: Vec<u64> = (0..=30).chain([30, 30]).collect();
        assert_eq!(pauses, expected);
        assert_eq!(pace.pause(now + AT_ONCE), Duration::ZERO);
    }
}
