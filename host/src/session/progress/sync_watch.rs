//! Watches the active sync: samples its position for the lag, and logs changes that no call causes: outages of a
//! cluster, and whether a commit is possible.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    commit::cannot_commit,
    monitor::{Monitor, SILENCE_THRESHOLD},
};
use crate::{model::options::ClusterName, session::active::ActiveSync};

/// Interval between two samples of the position.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The watch of the active sync.
pub(crate) struct SyncWatch {
    monitor: Arc<Monitor>,
    active: Mutex<Weak<ActiveSync>>,
}

impl SyncWatch {
    /// Starts the watch. It ends with the monitor.
    pub(crate) fn start(monitor: Arc<Monitor>) -> Arc<Self> {
        let watch = Arc::new(Self {
            monitor,
            active: Mutex::default(),
        });
        tokio::spawn(watch.clone().run());
        watch
    }

    /// Watches `active` from now on.
    pub(crate) fn follow(&self, active: &Arc<ActiveSync>) {
        let mut followed = self.active.lock();
        *followed = Arc::downgrade(active);
        self.monitor.begin(active.source.name);
    }

    async fn run(self: Arc<Self>) {
        let mut sync_watch = Notices::default();
        loop {
            tokio::select! {
                () = self.monitor.stopped() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            sync_watch.outages(&self.monitor);
            let Some(active) = self.active() else {
                continue;
            };
            sync_watch.can_commit(&active, &self.monitor);
            let newest = self.monitor.newest(active.source.name);
            if let Some((applied, newest)) = active.applied().zip(newest) {
                self.monitor.note_applied(applied, newest);
            }
        }
    }

    /// The watched sync, if this host still has it.
    fn active(&self) -> Option<Arc<ActiveSync>> {
        let followed = self.active.lock();
        let active = followed.upgrade();
        if active.is_none() {
            self.monitor.end();
        }
        active
    }
}

/// The state at the last notice.
#[derive(Default)]
struct Notices {
    silent: [bool; 2],
    /// Id of the sync, and whether a commit was possible.
    commit: Option<(String, bool)>,
}

impl Notices {
    /// Logs when a cluster becomes silent, and when it answers again.
    fn outages(&mut self, monitor: &Monitor) {
        let names = [ClusterName::Cluster0, ClusterName::Cluster1];
        for (name, told) in names.into_iter().zip(&mut self.silent) {
            let is_silent = monitor.silence(name).is_some();
            if is_silent == *told {
                continue;
            }
            *told = is_silent;
            let cluster = name.as_str();
            if is_silent {
                let seconds = SILENCE_THRESHOLD.as_secs();
                tracing::warn!(cluster, seconds, "cluster does not answer");
            } else {
                tracing::info!(cluster, "cluster answers again");
            }
        }
    }

    /// Logs when a commit becomes possible or impossible.
    fn can_commit(&mut self, active: &ActiveSync, monitor: &Monitor) {
        let reason = cannot_commit(active, monitor);
        let (sync_id, is_possible) = (active.sync_id(), reason.is_none());
        let was_possible = self
            .commit
            .as_ref()
            .is_some_and(|(told, was)| *told == sync_id && *was);
        match reason {
            None if !was_possible => tracing::info!(sync_id, "canCommit is true"),
            Some(reason) if was_possible => tracing::info!(sync_id, reason, "canCommit is false"),
            _ => {}
        }
        self.commit = Some((sync_id, is_possible));
    }
}
