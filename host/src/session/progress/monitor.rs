//! The monitor of both clusters: latency, newest write, and duration of a silence.
//!
//! Each cluster has its own task, so that a frozen cluster does not hide the other. The monitor makes no
//! decisions.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::lag::LagTracker;
use crate::{
    model::{ClusterTime, options::ClusterName},
    mongo::{
        Cluster, Moment, client_writes, last_write, ping_ms,
        preflight::{Identity, oplog_window_seconds},
    },
};

/// A cluster without an answer for this long is silent. Values read from it are unknown then.
pub(crate) const SILENCE_THRESHOLD: Duration = Duration::from_secs(2);

/// Interval between two probes.
const EVERY: Duration = Duration::from_millis(500);

/// Time limit of a probe.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The oplog window changes slowly, so it is read in every 60th round only.
const ROUNDS_A_WINDOW: u32 = 60;

/// The writes of clients are counted every 5 seconds.
const ROUNDS_A_COUNT: u32 = 10;

/// The latest answers of one cluster.
#[derive(Clone, Debug)]
struct ClusterReadings {
    /// Time of the latest answer.
    at: Moment,
    ping_ms: Option<u64>,
    /// Cluster time of the newest write.
    newest: Option<ClusterTime>,
    /// Seconds of history in the oplog. Read for the source of a sync only.
    window_seconds: Option<u64>,
    /// Writes of clients since the start of the server. Read for the source of a sync only.
    writes: Option<u64>,
}

impl ClusterReadings {
    fn silence(&self) -> Option<Duration> {
        Some(self.at.elapsed()).filter(|silence| *silence > SILENCE_THRESHOLD)
    }
}

/// The latest answers of both clusters.
pub(crate) struct Monitor {
    clusters: [Cluster; 2],
    addresses: [String; 2],
    answers: [Mutex<ClusterReadings>; 2],
    begun: Moment,
    lag: Mutex<LagTracker>,
    /// The source of the active sync.
    source: Mutex<Option<ClusterName>>,
    stop: CancellationToken,
}

impl Monitor {
    /// Starts a task for each cluster. They end with [`Self::stop`].
    pub(crate) fn start(clusters: [Cluster; 2], identities: [Identity; 2]) -> Arc<Self> {
        let connected = || {
            Mutex::new(ClusterReadings {
                at: Moment::now(),
                ping_ms: Some(0),
                newest: None,
                window_seconds: None,
                writes: None,
            })
        };
        let monitor = Arc::new(Self {
            clusters,
            addresses: identities.map(|identity| identity.primary),
            answers: [connected(), connected()],
            begun: Moment::now(),
            lag: Mutex::default(),
            source: Mutex::default(),
            stop: CancellationToken::new(),
        });
        for name in [ClusterName::Cluster0, ClusterName::Cluster1] {
            tokio::spawn(monitor.clone().ask(name));
        }
        monitor
    }

    /// Starts the measurement for a sync with this source.
    pub(crate) fn begin(&self, source: ClusterName) {
        *self.source.lock() = Some(source);
        *self.lag.lock() = LagTracker::default();
    }

    /// Ends the measurement: this host is no longer active.
    pub(crate) fn end(&self) {
        *self.source.lock() = None;
    }

    /// Ends the tasks.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns when the monitor has been stopped. Cancel safe.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Duration of a cluster's silence. `None` while it answers.
    pub(crate) fn silence(&self, name: ClusterName) -> Option<Duration> {
        self.answers(name).silence()
    }

    /// The first silent cluster, with the duration of its silence.
    pub(crate) fn silent(&self) -> Option<(ClusterName, Duration)> {
        [ClusterName::Cluster0, ClusterName::Cluster1]
            .into_iter()
            .find_map(|name| Some((name, self.silence(name)?)))
    }

    /// Round-trip time in milliseconds. `None` while it is unknown.
    pub(crate) fn ping_ms(&self, name: ClusterName) -> Option<u64> {
        let answers = self.answers(name);
        answers.ping_ms.filter(|_| answers.silence().is_none())
    }

    /// Cluster time of the newest write. `None` while it is unknown.
    pub(crate) fn newest(&self, name: ClusterName) -> Option<ClusterTime> {
        let answers = self.answers(name);
        answers.newest.filter(|_| answers.silence().is_none())
    }

    /// Seconds of history in a source's oplog. `None` while it is unknown.
    pub(crate) fn window_seconds(&self, name: ClusterName) -> Option<u64> {
        self.answers(name).window_seconds
    }

    /// Writes of clients since the start of a source's server. `None` while they are unknown.
    pub(crate) fn writes(&self, name: ClusterName) -> Option<u64> {
        let answers = self.answers(name);
        answers.writes.filter(|_| answers.silence().is_none())
    }

    /// The lag in seconds of source time. `None` while it is unknown.
    pub(crate) fn lag_seconds(&self, source: ClusterName) -> Option<u32> {
        let newest = self.newest(source)?;
        self.lag.lock().lag_seconds(self.begun.elapsed(), newest)
    }

    /// Seconds of source time applied per second. `None` while it is unknown.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.lag.lock().rate(self.begun.elapsed())
    }

    /// Records the applied position together with the newest write of the source.
    pub(crate) fn note_applied(&self, applied: ClusterTime, newest: ClusterTime) {
        self.lag.lock().note(self.begun.elapsed(), applied, newest);
    }

    /// `host:port` of the primary at the time of the connection.
    pub(crate) fn address(&self, name: ClusterName) -> String {
        let [address0, address1] = &self.addresses;
        match name {
            ClusterName::Cluster0 => address0.clone(),
            ClusterName::Cluster1 => address1.clone(),
        }
    }

    async fn ask(self: Arc<Self>, name: ClusterName) {
        let [cluster0, cluster1] = &self.clusters;
        let cluster = match name {
            ClusterName::Cluster0 => cluster0,
            ClusterName::Cluster1 => cluster1,
        };
        let mut round = 0_u32;
        while !self.stop.is_cancelled() {
            // A refusal or a late answer does not count as an answer.
            let _ = timeout(ANSWER_WITHIN, self.ask_once(cluster, round)).await;
            round = round.wrapping_add(1);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn ask_once(&self, cluster: &Cluster, round: u32) {
        let Some(ping_ms) = ping_ms(cluster).await else {
            return;
        };
        tracing::trace!(cluster = cluster.name.as_str(), ping_ms, "ping");
        self.note(cluster.name, |answers| {
            answers.at = Moment::now();
            answers.ping_ms = Some(ping_ms);
        });
        if let Ok(newest) = last_write(cluster).await {
            self.note(cluster.name, |answers| answers.newest = Some(newest));
        }
        let is_due =
            round.is_multiple_of(ROUNDS_A_WINDOW) || self.window_seconds(cluster.name).is_none();
        if is_due && self.is_source(cluster.name) {
            let window = oplog_window_seconds(cluster).await;
            self.note(cluster.name, |answers| answers.window_seconds = window);
        }
        if round.is_multiple_of(ROUNDS_A_COUNT) && self.is_source(cluster.name) {
            let writes = client_writes(cluster).await.ok();
            self.note(cluster.name, |answers| answers.writes = writes);
        }
    }

    fn is_source(&self, name: ClusterName) -> bool {
        *self.source.lock() == Some(name)
    }

    fn cell(&self, name: ClusterName) -> &Mutex<ClusterReadings> {
        let [answers0, answers1] = &self.answers;
        match name {
            ClusterName::Cluster0 => answers0,
            ClusterName::Cluster1 => answers1,
        }
    }

    fn answers(&self, name: ClusterName) -> ClusterReadings {
        self.cell(name).lock().clone()
    }

    fn note(&self, name: ClusterName, change: impl FnOnce(&mut ClusterReadings)) {
        change(&mut self.cell(name).lock());
    }
}
