//! The watch of one cluster's load: reads it, computes the delay, and reports it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::{
    Delays,
    delay::Delay,
    excess::{Excess, PressureTracker},
    replication::ReplicationTracker,
};
use crate::{
    model::{ClusterTime, ErrorKind, progress::ThrottleProgress},
    mongo::{self, Client, ClusterLoad, Moment, cluster_load, delayed_members},
    sync::{status::Status, throttle_status::Side},
};

/// Interval between two readings.
const EVERY: Duration = Duration::from_millis(500);

/// Interval between two readings of a cluster that refuses them.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// Watches the load of one cluster.
pub(super) struct LoadWatch {
    side: Side,
    client: Client,
    begun: Moment,
    status: Arc<Status>,
    replication: ReplicationTracker,
    pressure: PressureTracker,
    /// Members that are behind on purpose, with the version of the configuration that says so.
    delayed: (Option<i64>, HashSet<i64>),
    delay: Delay,
}

impl LoadWatch {
    /// The watch of a cluster whose secondaries may be `bound` behind.
    pub(super) fn new(side: Side, client: Client, bound: Duration, status: Arc<Status>) -> Self {
        Self {
            side,
            client,
            begun: Moment::now(),
            status,
            replication: ReplicationTracker::new(bound),
            pressure: PressureTracker::default(),
            delayed: (None, HashSet::new()),
            delay: Delay::default(),
        }
    }

    /// Sets the delay after each reading, until a commit begins.
    pub(super) async fn run(
        mut self,
        delays: Arc<Delays>,
        commit_time: watch::Receiver<Option<ClusterTime>>,
    ) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while commit_time.borrow().is_none() {
            ticks.tick().await;
            match self.read().await {
                Ok(load) => {
                    let excess = self.excess(&load);
                    self.set(&delays, excess, &load);
                }
                Err(error) if error.kind() == ErrorKind::Transient => {}
                Err(error) => {
                    self.refused(&error);
                    delays.set(self.side, Duration::ZERO);
                    tokio::time::sleep(AFTER_REFUSAL).await;
                }
            }
        }
        delays.set(self.side, Duration::ZERO);
        self.status.throttle.set(self.side, None);
    }

    /// Reads the load, and after a change of the configuration the delayed members.
    async fn read(&mut self) -> Result<ClusterLoad, mongo::Error> {
        let load = cluster_load(&self.client).await?;
        if self.delayed.0 != Some(load.set_version) {
            let delayed = delayed_members(&self.client).await?;
            self.delayed = (Some(load.set_version), delayed);
        }
        Ok(load)
    }

    fn excess(&mut self, load: &ClusterLoad) -> Option<Excess> {
        let at = self.begun.elapsed();
        Excess::greater(
            self.replication.note(at, load, &self.delayed.1),
            self.pressure.note(load.pressure),
        )
    }

    /// Sets the delay, and reports it.
    fn set(&mut self, delays: &Delays, excess: Option<Excess>, load: &ClusterLoad) {
        let was_zero = self.delay.is_zero();
        self.delay = self.delay.after(excess.as_ref());
        delays.set(self.side, self.delay.length());
        let throttle = &self.status.throttle;
        throttle.set_unknown(self.side, None);
        if self.delay.is_zero() {
            if !was_zero {
                tracing::info!(
                    cluster = self.side.name(),
                    "the sync is not slowed down any longer"
                );
            }
            throttle.set(self.side, None);
            return;
        }
        let shown = throttle.of(self.side);
        let reason = match (&excess, &shown) {
            (Some(excess), _) => format!("{}: {}", self.side.name(), excess.reason),
            (None, Some(shown)) => shown.reason.clone(),
            (None, None) => self.side.name().to_owned(),
        };
        if was_zero {
            tracing::info!(reason, "the sync is slowed down");
        }
        let begun = || load.at.try_to_rfc3339_string().unwrap_or_default();
        throttle.set(
            self.side,
            Some(ThrottleProgress {
                reason,
                since: shown.map_or_else(begun, |shown| shown.since),
                delay_ms: u64::try_from(self.delay.length().as_millis()).unwrap_or(u64::MAX),
            }),
        );
    }

    /// Reports a cluster that does not tell its load: the sync goes on, and is not slowed for it.
    fn refused(&mut self, error: &mongo::Error) {
        self.delay = Delay::default();
        let cluster = self.side.name();
        let what = format!(
            "The load of {cluster} cannot be read, so the sync is not slowed down for it: {error}."
        );
        let throttle = &self.status.throttle;
        throttle.set(self.side, None);
        if throttle.set_unknown(self.side, Some(what)) {
            tracing::info!(cluster, error = %error, "the load cannot be read");
        }
    }
}
