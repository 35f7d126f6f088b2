//! Lines of the log about what no call has changed: outages of a cluster, and whether a commit is possible.

use super::{
    ActiveSync,
    monitor::{Monitor, SILENCE},
    progress,
};
use crate::model::options::ClusterName;

/// What was told last.
#[derive(Default)]
pub(super) struct Notices {
    silent: [bool; 2],
    /// Of which sync, and whether a commit was possible.
    commit: Option<(String, bool)>,
}

impl Notices {
    /// Tells when a cluster has fallen silent, and when it answers again.
    pub(super) fn outages(&mut self, monitor: &Monitor) {
        let names = [ClusterName::Cluster0, ClusterName::Cluster1];
        for (name, told) in names.into_iter().zip(&mut self.silent) {
            let is_silent = monitor.silence(name).is_some();
            if is_silent == *told {
                continue;
            }
            *told = is_silent;
            let cluster = name.as_str();
            if is_silent {
                let seconds = SILENCE.as_secs();
                tracing::warn!(cluster, seconds, "cluster does not answer");
            } else {
                tracing::info!(cluster, "cluster answers again");
            }
        }
    }

    /// Tells when a commit becomes possible, and when it is possible no longer.
    pub(super) fn can_commit(&mut self, active: &ActiveSync, monitor: &Monitor) {
        let reason = progress::cannot_commit(active, monitor);
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
