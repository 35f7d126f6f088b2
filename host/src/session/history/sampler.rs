//! The task that samples a sync.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    metadata::{HistoryDocument, Store},
    model::{
        State,
        history::{History, Milestone, Sample},
    },
    mongo::Moment,
    session::{
        active::ActiveSync,
        progress::{activity, lag_seconds, monitor::Monitor, oplog_seconds_remaining},
    },
};

/// Interval between two looks at the state and the step.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Interval between two writes of an unchanged step.
const PERSIST_EVERY: Duration = Duration::from_secs(60);

/// Interval between two attempts to read what an earlier host has persisted.
const RETRY_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Sampler {
    active: Weak<ActiveSync>,
    store: Store,
    sync_id: String,
    monitor: Arc<Monitor>,
    history: Arc<Mutex<History>>,
    /// Figures at the last sample.
    last: Option<Figures>,
    persisted_at: Moment,
}

/// Counts from which the rates of a sample follow.
#[derive(Clone, Copy)]
struct Figures {
    at: Moment,
    events: u64,
    bytes: u64,
    writes: Option<u64>,
}

impl Sampler {
    pub(super) fn new(
        active: &Arc<ActiveSync>,
        monitor: Arc<Monitor>,
        history: Arc<Mutex<History>>,
    ) -> Self {
        Self {
            active: Arc::downgrade(active),
            store: active.record.store().clone(),
            sync_id: active.sync_id(),
            monitor,
            history,
            last: None,
            persisted_at: Moment::now(),
        }
    }

    /// Samples until the sync is dropped. Cancel safe: a write runs in a task of its own.
    pub(super) async fn run(mut self) {
        self.load().await;
        while let Some(active) = self.active.upgrade() {
            let newest = self.monitor.newest(active.source.name);
            if let Some(at) = newest.map(|newest| newest.seconds) {
                self.look(&active, at).await;
            }
            drop(active);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads what an earlier host has persisted of this sync. Repeated until the destination answers.
    async fn load(&self) {
        loop {
            match self.store.history().await {
                Ok(Some(document)) if document.sync == self.sync_id => {
                    *self.history.lock() = document.history;
                    return;
                }
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(error = %error, "the history is not read yet");
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            }
        }
    }

    async fn look(&mut self, active: &ActiveSync, at: u32) {
        let state = active.state().public();
        let info = activity::info(state, &active.record.get(), &active.status);
        let is_new = self.history.lock().note(Milestone {
            at,
            state: state.to_string(),
            info: info.map(str::to_owned),
        });
        let is_over = state == State::Committed;
        let interval = Duration::from_secs(u64::from(History::INTERVAL));
        let is_due = self.last.is_none_or(|last| last.at.elapsed() >= interval);
        if is_due && !is_over {
            self.sample(active, at);
        }
        if is_new || (!is_over && self.persisted_at.elapsed() >= PERSIST_EVERY) {
            self.persist().await;
        }
    }

    fn sample(&mut self, active: &ActiveSync, at: u32) {
        let now = Figures {
            at: Moment::now(),
            events: active.status.events_shown(),
            bytes: active.status.copy().copied_bytes,
            writes: self.monitor.writes(active.source.name),
        };
        if let Some(last) = self.last {
            let seconds = now.at.since(last.at).as_secs_f64();
            let writes = now.writes.zip(last.writes);
            self.history.lock().push(Sample {
                at,
                lag: lag_seconds(active, &self.monitor),
                events: rate(last.events, now.events, seconds),
                bytes: rate(last.bytes, now.bytes, seconds),
                writes: writes.map(|(last, now)| rate(last, now, seconds)),
                oplog: oplog_seconds_remaining(active, &self.monitor),
            });
        }
        self.last = Some(now);
    }

    async fn persist(&mut self) {
        self.persisted_at = Moment::now();
        let document = HistoryDocument {
            id: HistoryDocument::ID.to_owned(),
            sync: self.sync_id.clone(),
            history: self.history.lock().clone(),
        };
        let store = self.store.clone();
        // A transaction that is dropped half way would keep its locks.
        let written = tokio::spawn(async move { store.put_history(&document).await });
        if let Ok(Err(error)) = written.await {
            tracing::debug!(error = %error, "the history is not persisted");
        }
    }
}

/// Per second. A count that a restart has set back gives 0.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(last: u64, now: u64, seconds: f64) -> f64 {
    (now.saturating_sub(last) as f64 / seconds * 10.0).round() / 10.0
}
