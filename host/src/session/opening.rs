//! The way to an open session: its clusters may not answer yet.
//!
//! A host waits for clusters that do not answer, and says for which. What an answer shows to be
//! wrong ends it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::SetOnce, time::timeout};

use super::{Session, Settings, patience::seconds, progress};
use crate::{
    model::{
        ErrorKind, ErrorName, OperatorError, Progress, Readiness, State, options::ClusterName,
    },
    mongo::Moment,
};

/// The pause before a cluster is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a call waits for a session that is opening.
const CALL_WAITS: Duration = Duration::from_secs(5);

/// The session of this process, from before it is open.
pub struct SessionHandle {
    settings: Settings,
    waiting: Waiting,
    session: SetOnce<Arc<Session>>,
}

/// What an opening session waits for.
pub(super) struct Waiting {
    /// A cluster that does not answer is tried again, not an error.
    patient: bool,
    since: Moment,
    cluster0: Mutex<Wait>,
    cluster1: Mutex<Wait>,
    /// The look for a sync, behind both.
    sync: Mutex<Wait>,
}

/// The part of the way to an open session that is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Cluster(ClusterName),
    Sync,
}

/// How it stands with one cluster.
#[derive(Clone, Debug, Default)]
enum Wait {
    /// Asked for the first time.
    #[default]
    Asked,
    Failed(OperatorError),
    Answered,
}

impl SessionHandle {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiting: Waiting::new(true),
            session: SetOnce::new(),
        }
    }

    /// Opens the session; returns when both clusters have answered, or one has answered what
    /// cannot be right.
    pub async fn open(&self) -> Result<Arc<Session>, OperatorError> {
        let session = super::open::open(self.settings.clone(), &self.waiting).await?;
        // Opened once.
        let _ = self.session.set(session.clone());
        Ok(session)
    }

    /// The session, for a call, which waits for it a little.
    pub async fn session(&self) -> Result<&Session, OperatorError> {
        let opened = timeout(CALL_WAITS, self.session.wait()).await;
        opened.map(AsRef::as_ref).map_err(|_elapsed| {
            let reason = self.waiting.reason();
            OperatorError::new(
                ErrorName::ConnectionFailed,
                format!(
                    "tidegate is starting. {reason} Nothing was changed. Repeat the call when the clusters answer."
                ),
            )
        })
    }

    pub async fn progress(&self) -> Progress {
        match self.session.get() {
            Some(session) => session.progress().await,
            None => self.waiting_progress(),
        }
    }

    /// No state is known yet: IDLE, and what is waited for.
    fn waiting_progress(&self) -> Progress {
        let reason = self.waiting.reason();
        Progress {
            info: Some("waiting for clusters"),
            cannot_commit: Some(reason.clone()),
            warnings: vec![reason],
            ..progress::unknown(&self.settings.id)
        }
    }

    pub fn readiness(&self) -> Readiness {
        match self.session.get() {
            Some(session) => session.readiness(),
            None => Readiness {
                ready: false,
                role: "starting",
                state: Some(State::Idle),
                reason: Some(self.waiting.reason()),
                clusters: self.waiting.answers(),
            },
        }
    }
}

impl Waiting {
    pub(super) fn new(patient: bool) -> Self {
        Self {
            patient,
            since: Moment::now(),
            cluster0: Mutex::default(),
            cluster1: Mutex::default(),
            sync: Mutex::default(),
        }
    }

    /// Tries until `attempt` does not fail for want of an answer.
    pub(super) async fn until<T>(
        &self,
        part: Part,
        attempt: impl AsyncFn() -> Result<T, OperatorError>,
    ) -> Result<T, OperatorError> {
        loop {
            match attempt().await {
                Err(error) if self.patient && error.kind() == ErrorKind::Transient => {
                    self.failed(part, error);
                }
                done => {
                    self.note(part, Wait::Answered);
                    return done;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A failure is logged once.
    fn failed(&self, part: Part, error: OperatorError) {
        let known = self.note(part, Wait::Failed(error.clone()));
        if !matches!(known, Wait::Failed(_)) {
            tracing::warn!(error = %error, "waiting until the cluster answers");
        }
    }

    fn note(&self, part: Part, wait: Wait) -> Wait {
        let cell = match part {
            Part::Cluster(ClusterName::Cluster0) => &self.cluster0,
            Part::Cluster(ClusterName::Cluster1) => &self.cluster1,
            Part::Sync => &self.sync,
        };
        let mut known = cell.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut known, wait)
    }

    /// Each cluster, and whether it has answered.
    fn answers(&self) -> [(&'static str, bool); 2] {
        [
            (ClusterName::Cluster0, &self.cluster0),
            (ClusterName::Cluster1, &self.cluster1),
        ]
        .map(|(name, wait)| {
            let wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
            (name.as_str(), matches!(*wait, Wait::Answered))
        })
    }

    /// Sentences that say what is waited for.
    fn reason(&self) -> String {
        let since = seconds(self.since.elapsed());
        let known =
            |wait: &Mutex<Wait>| wait.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let clusters = [("cluster0", &self.cluster0), ("cluster1", &self.cluster1)];
        let mut sentences: Vec<String> = clusters
            .into_iter()
            .filter_map(|(cluster, wait)| match known(wait) {
                Wait::Answered => None,
                Wait::Asked => Some(format!("{cluster} has not answered yet, for {since}.")),
                Wait::Failed(error) => Some(format!("Waiting for {since}: {}", error.message)),
            })
            .collect();
        if sentences.is_empty() {
            sentences.push(match known(&self.sync) {
                Wait::Failed(error) => format!("Waiting for {since}: {}", error.message),
                _ => "Both clusters have answered; tidegate is looking for a sync.".to_owned(),
            });
        }
        sentences.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f58_what_does_not_answer_is_waited_for_and_told() {
        let (waiting, tries) = (Waiting::new(true), std::sync::atomic::AtomicU32::new(0));
        let part = Part::Cluster(ClusterName::Cluster0);
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
