//! The course of the active sync: sampled, and persisted so that it survives restarts and takeovers.
//!
//! It serves people only. The work never waits for it, and a course that cannot be persisted is lost at the end of the
//! process.

mod sampler;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{active::ActiveSync, progress::monitor::Monitor};
use crate::model::history::History;
use sampler::Sampler;

/// Keeps the course of the active sync.
pub(crate) struct HistoryKeeper {
    monitor: Arc<Monitor>,
    followed: Mutex<Option<FollowedSync>>,
}

/// The active sync. Dropping it ends the sampler.
struct FollowedSync {
    history: Arc<Mutex<History>>,
    cancel: CancellationToken,
}

impl Drop for FollowedSync {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl HistoryKeeper {
    /// A keeper without a sync.
    pub(crate) fn new(monitor: Arc<Monitor>) -> Self {
        Self {
            monitor,
            followed: Mutex::default(),
        }
    }

    /// Keeps the course of `active` from now on, after the course that an earlier host has persisted.
    pub(crate) fn follow(&self, active: &Arc<ActiveSync>) {
        let history = Arc::default();
        let cancel = CancellationToken::new();
        let sampler = Sampler::new(active, self.monitor.clone(), Arc::clone(&history));
        tokio::spawn(cancel.clone().run_until_cancelled_owned(sampler.run()));
        *self.followed.lock() = Some(FollowedSync { history, cancel });
    }

    /// Ends the sampler: this host has no active sync any more.
    pub(crate) fn leave(&self) {
        *self.followed.lock() = None;
    }

    /// The course so far; empty without a sync.
    pub(crate) fn get(&self) -> History {
        let followed = self.followed.lock();
        let history = followed.as_ref().map(|sync| sync.history.lock().clone());
        history.unwrap_or_default()
    }
}
