//! Sees the occurrences of the active sync, and records them.
//!
//! Most occurrences are facts of the persisted session: a fact that no host has recorded is recorded by the next look,
//! of this host or of the next.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{Outbox, receivers};
use crate::{
    config::HookOptions,
    metadata::{HookDocument, Phase},
    model::{OperatorError, State, hook::HookEvent},
    observe::failpoint,
    session::{
        active::ActiveSync,
        progress::{commit::cannot_commit, monitor::Monitor},
    },
};

/// Interval between two looks at the sync.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Recorder {
    pub(super) hooks: Arc<[Arc<HookOptions>]>,
    pub(super) active: Weak<ActiveSync>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) outbox: Arc<Outbox>,
}

/// An occurrence that was seen.
struct Occurrence {
    event: HookEvent,
    /// Told apart from other occurrences of the event; `None` for an event that a sync has once.
    distinction: Option<String>,
    message: String,
    details: bson::Document,
    /// Whether it follows from the persisted session.
    fact: bool,
}

impl Occurrence {
    /// An event that a sync has once.
    fn once(event: HookEvent, message: &str) -> Self {
        Self {
            event,
            distinction: None,
            message: message.to_owned(),
            details: bson::Document::new(),
            fact: true,
        }
    }

    fn failed(error: &OperatorError) -> Self {
        Self {
            event: HookEvent::Failed,
            distinction: Some(uuid::Uuid::new_v4().to_string()),
            message: format!("The sync has stopped and can be resumed: {error}"),
            details: bson::doc! { "error": error.name.as_str() },
            fact: false,
        }
    }

    fn mismatch(count: u64) -> Self {
        Self {
            event: HookEvent::Mismatch,
            distinction: Some(uuid::Uuid::new_v4().to_string()),
            message: format!(
                "The verification has found differences between the clusters: {count}. See GET \
                 /api/v1/verification/mismatches."
            ),
            details: bson::doc! { "mismatches": i64::try_from(count).unwrap_or(i64::MAX) },
            fact: false,
        }
    }

    fn undone(at: bson::DateTime, reason: Option<&String>) -> Self {
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        Self {
            event: HookEvent::Failed,
            distinction: Some(format!("commit:{}", at.timestamp_millis())),
            message: format!("A commit was undone{reason}"),
            details: bson::Document::new(),
            fact: true,
        }
    }

    fn id(&self, sync_id: &str) -> String {
        let id = format!("{sync_id}:{}", self.event);
        match &self.distinction {
            Some(distinction) => format!("{id}:{distinction}"),
            None => id,
        }
    }
}

impl Recorder {
    /// Records occurrences until the sync is dropped. Cancel safe: an occurrence whose write was not awaited is recorded
    /// again under the same id, or was not sent.
    pub(super) async fn run(&self) {
        let Some(sync_id) = self.active.upgrade().map(|active| active.sync_id()) else {
            return;
        };
        self.outbox.load(&sync_id).await;
        let (mut failure, mut mismatches) = (None, 0);
        while let Some(active) = self.active.upgrade() {
            for fact in self.facts(&active) {
                self.record(&sync_id, fact).await;
            }
            let failed = failure_of(&active);
            let shown = failed.as_ref().map(ToString::to_string);
            if let Some(error) = failed.filter(|_| shown != failure) {
                self.record(&sync_id, Occurrence::failed(&error)).await;
            }
            failure = shown;
            let open = active.status.verification.progress().mismatches;
            if open > 0 && mismatches == 0 {
                self.record(&sync_id, Occurrence::mismatch(open)).await;
            }
            mismatches = open;
            drop(active);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether every fact of the sync is recorded.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.active.upgrade().is_none_or(|active| {
            let sync_id = active.sync_id();
            let is_recorded = |fact: &Occurrence| {
                self.outbox.has(&fact.id(&sync_id)) || receivers(&self.hooks, fact.event).is_empty()
            };
            self.facts(&active).iter().all(is_recorded)
        })
    }

    /// The facts of the sync at present.
    fn facts(&self, active: &ActiveSync) -> Vec<Occurrence> {
        let session = active.record.get();
        let mut facts = Vec::new();
        // The other direction of a sync begins without a copy.
        if session.phase > Phase::CollectionCopy && session.reversals == 0 {
            let message = "All documents are copied.";
            facts.push(Occurrence::once(HookEvent::Copied, message));
        }
        if session.phase > Phase::ChangeEventApplication
            || cannot_commit(active, &self.monitor).is_none()
        {
            let message = "The destination is up to date: a commit is possible.";
            facts.push(Occurrence::once(HookEvent::CaughtUp, message));
        }
        if let Some(at) = session.commit_undone_at {
            facts.push(Occurrence::undone(at, session.commit_warnings.first()));
        }
        if session.state == State::Committed {
            let message = "Applications may write to the destination.";
            facts.push(Occurrence::once(HookEvent::CanWrite, message));
            let message = "The sync is committed.";
            facts.push(Occurrence::once(HookEvent::Committed, message));
        }
        facts
    }

    async fn record(&self, sync_id: &str, occurrence: Occurrence) {
        let id = occurrence.id(sync_id);
        let Occurrence {
            event,
            message,
            details,
            fact,
            ..
        } = occurrence;
        let pending = receivers(&self.hooks, event);
        if pending.is_empty() || self.outbox.has(&id) {
            return;
        }
        let at = self.outbox.now().await;
        failpoint("hook_occurred");
        let document = HookDocument {
            id,
            event,
            at,
            message,
            details,
            fact,
            pending,
        };
        self.outbox.record(document).await;
    }
}

/// The failure that has stopped the work. A failure that undoes the commit is told when it is undone.
fn failure_of(active: &ActiveSync) -> Option<OperatorError> {
    let is_committing = active.record.get().state == State::Committing;
    active
        .failure()
        .filter(|error| !(is_committing && error.name.undoes_commit()))
}
