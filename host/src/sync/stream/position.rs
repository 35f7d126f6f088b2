//! The position of the stream: the applied events, and the start of a replay.

use std::sync::Arc;

use super::{Context, Error, freshness::Exactness};
use crate::{
    metadata::{CopyTotals, PositionDocument},
    model::{ClusterTime, Position},
    mongo,
    observe::failpoint,
};

/// The safe position of a stream, and its persistence.
///
/// Invariant: every event before it is applied, and it never goes back.
pub(super) struct StreamPosition {
    context: Arc<Context>,
    exactness: Arc<Exactness>,
    start_time: ClusterTime,
    /// `None` until the first batch has been applied.
    safe: Option<Position>,
    persisted: Option<Position>,
    /// A round has failed: later rounds are finished too, but move no position.
    failed: bool,
}

impl StreamPosition {
    /// The position at `safe`, or at `start_time` if there is none.
    pub(super) fn new(
        context: &Arc<Context>,
        exactness: &Arc<Exactness>,
        start_time: ClusterTime,
        safe: Option<Position>,
    ) -> Self {
        Self {
            context: context.clone(),
            exactness: exactness.clone(),
            start_time,
            safe,
            persisted: None,
            failed: false,
        }
    }

    /// Persists the position as not clean, before any later event is applied.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        self.write(false).await?;
        self.persisted.clone_from(&self.safe);
        Ok(())
    }

    /// The safe position; `None` until the first batch has been applied.
    pub(super) fn safe(&self) -> Option<&Position> {
        self.safe.as_ref()
    }

    /// The cluster time of the position: every earlier event is applied.
    pub(super) fn time(&self) -> ClusterTime {
        self.safe.as_ref().map_or(self.start_time, time)
    }

    /// Whether everything up to `commit_time` is applied. After a position *at* the commit time
    /// there may be more events of that time.
    pub(super) fn has_passed(&self, commit_time: Option<ClusterTime>) -> bool {
        match (&self.safe, commit_time) {
            (Some(safe), Some(commit_time)) => safe.cluster_time > commit_time,
            _ => false,
        }
    }

    /// Keeps rounds that finish from now on from moving the position.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Moves past a finished round.
    ///
    /// # Errors
    /// The round ends before the position.
    pub(super) fn advance(&mut self, to: Option<Position>) -> Result<(), Error> {
        if to.is_some() && !self.failed {
            if to.as_ref().map(time) < self.safe.as_ref().map(time) {
                return Err(mongo::Error::Broken("the position never goes back").into());
            }
            self.safe = to;
            self.show();
        }
        Ok(())
    }

    /// Moves past an event that left nothing to record.
    pub(super) fn pass(&mut self, to: Option<Position>) {
        self.safe = to;
    }

    /// Moves to a position that was persisted as `document`, in the transaction with its event's
    /// changes.
    pub(super) fn recorded(&mut self, to: Option<Position>, document: Option<&PositionDocument>) {
        self.show_persisted(document);
        self.safe = to;
        self.persisted.clone_from(&self.safe);
    }

    /// Shows the position as the reported position.
    pub(super) fn show(&self) {
        if let Some(safe) = &self.safe {
            self.context.status.set_reported(safe.cluster_time);
        }
    }

    /// Persists the position if it has moved, or if the work ends cleanly.
    pub(super) async fn persist(&mut self, clean: bool) -> Result<(), Error> {
        if clean || self.safe != self.persisted {
            self.write(clean).await?;
            self.persisted.clone_from(&self.safe);
            failpoint("position_persisted");
        }
        Ok(())
    }

    async fn write(&mut self, clean: bool) -> Result<(), Error> {
        let Some(position) = self.document_at(self.safe.clone(), clean) else {
            return Ok(());
        };
        self.context
            .store
            .put_position(&position, Vec::new())
            .await?;
        self.show_persisted(Some(&position));
        Ok(())
    }

    fn show_persisted(&self, position: Option<&PositionDocument>) {
        if let Some(position) = position {
            let status = &self.context.status;
            status.show_events(u64::try_from(position.events_applied).unwrap_or_default());
            status.set_safe(position.safe.cluster_time);
        }
    }

    /// The document of the position while events are applied; `None` until the first batch has been
    /// applied.
    pub(super) fn document(&self) -> Option<PositionDocument> {
        self.document_at(self.safe.clone(), false)
    }

    /// The document of a position at `safe`.
    pub(super) fn document_at(
        &self,
        safe: Option<Position>,
        clean: bool,
    ) -> Option<PositionDocument> {
        let copy = self.context.status.copy();
        let to_i64 = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Some(PositionDocument {
            id: PositionDocument::ID.to_owned(),
            safe: safe?,
            exact_after: self.exactness.after_restart(),
            events_applied: to_i64(self.context.status.events_applied()),
            clean,
            copied: CopyTotals {
                documents: to_i64(copy.copied_documents),
                bytes: to_i64(copy.copied_bytes),
            },
        })
    }
}

fn time(position: &Position) -> ClusterTime {
    position.cluster_time
}

/// The position after the event with this token.
pub(super) fn position_after(token: &[u8]) -> Result<Option<Position>, Error> {
    let token = bson::RawDocumentBuf::from_bytes(token.to_vec());
    Ok(Position::from_token(token.map_err(mongo::Error::Bson)?))
}
