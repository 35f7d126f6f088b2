//! Watches both clusters, for lag and latency: asks them once a second, never decides anything.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::ActiveSync;
use crate::{
    model::{ClusterTime, options::ClusterName},
    mongo::{
        Cluster,
        connect::{last_write, ping_ms},
        preflight::{Identity, oplog_window_seconds},
    },
};

const EVERY: Duration = Duration::from_secs(1);

/// The oplog's window moves slowly.
const ROUNDS_A_WINDOW: u32 = 30;

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) ping_ms: [Option<u64>; 2],
    /// The source's newest write.
    pub(super) newest: Option<ClusterTime>,
    /// Seconds of history in the source's oplog.
    pub(super) window_seconds: Option<u64>,
    /// Seconds of source time that are applied in a second.
    pub(super) rate: Option<f64>,
}

pub(super) struct Monitor {
    clusters: [Cluster; 2],
    addresses: [String; 2],
    seen: Mutex<Seen>,
    active: Mutex<Weak<ActiveSync>>,
    stop: CancellationToken,
}

impl Monitor {
    pub(super) fn start(clusters: [Cluster; 2], identities: [Identity; 2]) -> Arc<Self> {
        let monitor = Arc::new(Self {
            clusters,
            addresses: identities.map(|identity| identity.primary),
            seen: Mutex::new(Seen {
                ping_ms: [Some(0), Some(0)],
                ..Seen::default()
            }),
            active: Mutex::default(),
            stop: CancellationToken::new(),
        });
        tokio::spawn(monitor.clone().run());
        monitor
    }

    /// Watches this sync's source from now on.
    pub(super) fn watch(&self, active: &Arc<ActiveSync>) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(active);
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.seen().ping_ms.iter().all(Option::is_some)
    }

    /// `host:port` of a cluster's primary, as of the connection.
    pub(super) fn address(&self, name: ClusterName) -> String {
        let [address0, address1] = &self.addresses;
        if name == ClusterName::Cluster0 {
            address0.clone()
        } else {
            address1.clone()
        }
    }

    async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut round, mut last) = (0_u32, None);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.look(round, &mut last).await;
            round = round.wrapping_add(1);
        }
    }

    async fn look(&self, round: u32, last: &mut Option<(Instant, ClusterTime)>) {
        let [cluster0, cluster1] = &self.clusters;
        let (ping0, ping1) = tokio::join!(ping_ms(cluster0), ping_ms(cluster1));
        let active = self
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade();
        let mut seen = self.seen();
        seen.ping_ms = [ping0, ping1];
        if let Some(active) = active {
            seen.newest = last_write(&active.source).await.ok().or(seen.newest);
            if round.is_multiple_of(ROUNDS_A_WINDOW) || seen.window_seconds.is_none() {
                seen.window_seconds = oplog_window_seconds(&active.source).await;
            }
            if let Some(reported) = active.status.reported() {
                let before = last.replace((Instant::now(), reported));
                seen.rate = before.map(|(at, time)| {
                    f64::from(time.seconds_behind(reported))
                        / at.elapsed().as_secs_f64().max(f64::EPSILON)
                });
            }
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}
