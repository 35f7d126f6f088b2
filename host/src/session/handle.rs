//! The session of this process, from before it is open.

use std::{sync::Arc, time::Duration};

use tokio::{sync::SetOnce, time::timeout};

use super::{
    Session,
    context::Settings,
    progress,
    role::{connection::ConnectionWait, open::open},
};
use crate::model::{ErrorName, OperatorError, Progress, Readiness, State};

/// How long a call waits for a session that is opening.
const CALL_WAITS: Duration = Duration::from_secs(5);

/// The session of this process, from before it is open.
pub struct SessionHandle {
    settings: Settings,
    waiting: ConnectionWait,
    session: SetOnce<Arc<Session>>,
}

impl SessionHandle {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiting: ConnectionWait::new(true),
            session: SetOnce::new(),
        }
    }

    /// Opens the session; returns when both clusters have answered, or one has answered what
    /// cannot be right.
    pub async fn open(&self) -> Result<Arc<Session>, OperatorError> {
        let host = open(self.settings.clone(), &self.waiting).await?;
        let session = Arc::new(Session { host });
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
