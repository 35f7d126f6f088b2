//! Bounded waits: a call returns although a cluster does not answer.
//!
//! A call waits for a cluster while that cluster answers the monitor, up to a limit. The error names the
//! cluster, the time of its silence, and the consequences.

use std::{fmt, time::Duration};

use super::monitor::{Monitor, SILENCE_THRESHOLD};
use crate::{
    model::{ErrorName, OperatorError, options::ClusterName},
    mongo::Moment,
};

/// The longest wait for a cluster that answers the monitor but does not complete the work of a call.
const LIMIT: Duration = Duration::from_secs(5);

/// The shortest wait. A cluster that was silent may have recovered, which the work notices first.
const LEAST: Duration = Duration::from_millis(1_500);

/// Interval at which a wait looks at the monitor.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A cluster with its side of the sync, as messages name it: "cluster0 (the source)".
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterLabel(ClusterName, &'static str);

impl ClusterLabel {
    /// The source of a sync.
    pub(crate) fn source(name: ClusterName) -> Self {
        Self(name, "source")
    }

    /// The destination of a sync.
    pub(crate) fn destination(name: ClusterName) -> Self {
        Self(name, "destination")
    }

    /// Source and destination of a sync.
    pub(crate) fn both(source: ClusterName, destination: ClusterName) -> [Self; 2] {
        [Self::source(source), Self::destination(destination)]
    }
}

impl fmt::Display for ClusterLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the {})", self.0.as_str(), self.1)
    }
}

/// A duration in words: "7 seconds".
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// Runs `work`, which waits for one cluster. Gives up when that cluster is silent, or after [`LIMIT`]; `work` is
/// dropped then.
///
/// # Errors
///
/// `ConnectionFailed`. Every error begins with `left_undone`, a sentence about the consequences.
pub(crate) async fn within_deadline<T>(
    monitor: &Monitor,
    cluster: ClusterLabel,
    left_undone: &str,
    work: impl Future<Output = Result<T, OperatorError>>,
) -> Result<T, OperatorError> {
    tokio::select! {
        biased;
        done = work => done.map_err(|error| OperatorError {
            message: format!("{left_undone} {}", error.message),
            ..error
        }),
        waited = deadline(monitor, cluster.0) => Err(OperatorError::new(
            ErrorName::ConnectionFailed,
            format!("{cluster} has not answered for {}. {left_undone}", seconds(waited)),
        )),
    }
}

/// Like [`within_deadline`], for work that needs both clusters and can take long. Gives up only when a cluster
/// is silent.
pub(crate) async fn while_answering<T>(
    monitor: &Monitor,
    clusters: [ClusterLabel; 2],
    left_undone: &str,
    work: impl Future<Output = Result<T, OperatorError>>,
) -> Result<T, OperatorError> {
    tokio::select! {
        biased;
        done = work => done,
        silent = silence(monitor, clusters) => Err(OperatorError::new(
            ErrorName::ConnectionFailed,
            format!("{silent} {left_undone}"),
        )),
    }
}

/// Waits until a cluster is silent. Returns the sentence about it.
async fn silence(monitor: &Monitor, clusters: [ClusterLabel; 2]) -> String {
    tokio::time::sleep(LEAST).await;
    loop {
        match silent(monitor, clusters) {
            Some(silent) => return silent,
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Waits until a cluster is silent or the limit is reached. Returns the time without an answer.
async fn deadline(monitor: &Monitor, name: ClusterName) -> Duration {
    let begun = Moment::now();
    tokio::time::sleep(LEAST).await;
    loop {
        match monitor.silence(name) {
            Some(silence) => return silence,
            None if begun.elapsed() >= LIMIT => return begun.elapsed(),
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// A sentence about the first silent cluster, if there is one.
pub(crate) fn silent(monitor: &Monitor, clusters: [ClusterLabel; 2]) -> Option<String> {
    clusters.into_iter().find_map(|cluster| {
        let silence = monitor.silence(cluster.0)?;
        Some(format!(
            "{cluster} has not answered for {}.",
            seconds(silence)
        ))
    })
}

// Invariant: a silence is noticed before the limit is reached.
const _: () = assert!(SILENCE_THRESHOLD.as_millis() < LIMIT.as_millis());
