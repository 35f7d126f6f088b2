//! The wait of an opening session for its clusters.
//!
//! A host waits for clusters that do not answer, and reports which. An answer that shows a wrong configuration
//! ends the host.

use std::time::Duration;

use parking_lot::Mutex;

use crate::{
    model::{ErrorKind, OperatorError, options::ClusterName},
    mongo::Moment,
    session::progress::deadline::seconds,
};

/// Interval between two attempts to reach a cluster.
const PAUSE: Duration = Duration::from_secs(1);

/// The state of an opening session: which of its parts has been reached.
pub(crate) struct ConnectionWait {
    /// Whether a cluster that does not answer is tried again. Otherwise it is an error.
    patient: bool,
    since: Moment,
    cluster0: Mutex<WaitState>,
    cluster1: Mutex<WaitState>,
    /// The search for a persisted sync, after both clusters have answered.
    sync: Mutex<WaitState>,
}

/// A part of the way to an open session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitTarget {
    Cluster(ClusterName),
    Sync,
}

/// The state of one part.
#[derive(Clone, Debug, Default)]
enum WaitState {
    /// The first attempt is under way.
    #[default]
    Asked,
    Failed(OperatorError),
    Answered,
}

impl ConnectionWait {
    /// A wait for parts that have not been tried yet.
    pub(crate) fn new(patient: bool) -> Self {
        Self {
            patient,
            since: Moment::now(),
            cluster0: Mutex::default(),
            cluster1: Mutex::default(),
            sync: Mutex::default(),
        }
    }

    /// Repeats `attempt` while it fails with a transient error, if the wait is patient. Otherwise returns its
    /// error.
    pub(crate) async fn until<T>(
        &self,
        part: WaitTarget,
        attempt: impl AsyncFn() -> Result<T, OperatorError>,
    ) -> Result<T, OperatorError> {
        loop {
            match attempt().await {
                Err(error) if self.patient && error.kind() == ErrorKind::Transient => {
                    self.failed(part, error);
                }
                done => {
                    self.note(part, WaitState::Answered);
                    return done;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Logs the first failure of a series.
    fn failed(&self, part: WaitTarget, error: OperatorError) {
        let known = self.note(part, WaitState::Failed(error.clone()));
        if !matches!(known, WaitState::Failed(_)) {
            tracing::warn!(error = %error, "waiting until the cluster answers");
        }
    }

    fn note(&self, part: WaitTarget, wait: WaitState) -> WaitState {
        let cell = match part {
            WaitTarget::Cluster(ClusterName::Cluster0) => &self.cluster0,
            WaitTarget::Cluster(ClusterName::Cluster1) => &self.cluster1,
            WaitTarget::Sync => &self.sync,
        };
        std::mem::replace(&mut cell.lock(), wait)
    }

    /// Each cluster, with whether it has answered.
    pub(crate) fn answers(&self) -> [(&'static str, bool); 2] {
        [
            (ClusterName::Cluster0, &self.cluster0),
            (ClusterName::Cluster1, &self.cluster1),
        ]
        .map(|(name, wait)| (name.as_str(), matches!(*wait.lock(), WaitState::Answered)))
    }

    /// Sentences about the parts that have not answered.
    pub(crate) fn reason(&self) -> String {
        let since = seconds(self.since.elapsed());
        let known = |wait: &Mutex<WaitState>| wait.lock().clone();
        let clusters = [("cluster0", &self.cluster0), ("cluster1", &self.cluster1)];
        let mut sentences: Vec<String> = clusters
            .into_iter()
            .filter_map(|(cluster, wait)| match known(wait) {
                WaitState::Answered => None,
                WaitState::Asked => Some(format!("{cluster} has not answered yet, for {since}.")),
                WaitState::Failed(error) => Some(format!("Waiting for {since}: {}", error.message)),
            })
            .collect();
        if sentences.is_empty() {
            sentences.push(match known(&self.sync) {
                WaitState::Failed(error) => format!("Waiting for {since}: {}", error.message),
                _ => "Both clusters have answered; tidegate is looking for a sync.".to_owned(),
            });
        }
        sentences.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ErrorName;

    #[tokio::test]
    async fn f58_what_does_not_answer_is_waited_for_and_told() {
        let (waiting, tries) = (
            ConnectionWait::new(true),
            std::sync::atomic::AtomicU32::new(0),
        );
        let part = WaitTarget::Cluster(ClusterName::Cluster0);
        let refused = |name| OperatorError::new(name, "it is down.");
        let answered = waiting
            .until(part, async || {
                match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    0 => {
                        assert!(
                            waiting
                                .reason()
                                .starts_with("cluster0 has not answered yet")
                        );
                        Err(refused(ErrorName::ConnectionFailed))
                    }
                    1 => {
                        assert!(waiting.reason().contains("it is down."));
                        Err(refused(ErrorName::ConnectionFailed))
                    }
                    _ => Ok(7),
                }
            })
            .await;
        assert_eq!(answered.expect("answered"), 7);
        assert!(
            !waiting.reason().contains("cluster0"),
            "{}",
            waiting.reason()
        );
        let wrong = waiting
            .until(part, async || {
                Err::<(), _>(refused(ErrorName::AuthenticationFailed))
            })
            .await;
        assert_eq!(
            wrong.expect_err("ends").name,
            ErrorName::AuthenticationFailed
        );
    }
}
