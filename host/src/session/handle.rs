//! The session of this process, usable before the clusters have answered.

use std::{sync::Arc, time::Duration};

use tokio::{sync::SetOnce, time::timeout};

use super::{
    Session,
    audit::AuditTrail,
    calls::audit,
    commit_watch,
    context::Settings,
    hosts::{registration, worker},
    progress,
    role::{connection::ConnectionWait, open::open},
    users,
};
use crate::model::{
    ErrorName, OperatorError, Progress, Readiness, State,
    audit::AuditRecord,
    history::History,
    hosts::{PassedAnswer, PassedCall, TakenCall},
};

/// Time that a call waits for a session that is still opening.
const CALL_WAITS: Duration = Duration::from_secs(5);

/// The session of this process. Exists from the start of the process; until [`SessionHandle::open`] has
/// returned, it reports which clusters it waits for.
pub struct SessionHandle {
    settings: Settings,
    waiting: ConnectionWait,
    audit: Arc<AuditTrail>,
    session: SetOnce<Arc<Session>>,
}

impl SessionHandle {
    /// A handle to a session that has not been opened.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiting: ConnectionWait::new(true),
            audit: Arc::default(),
            session: SetOnce::new(),
        }
    }

    /// Opens the session. Waits without a limit for clusters that do not answer, and returns once both have
    /// answered.
    ///
    /// # Errors
    ///
    /// An answer that shows a wrong configuration: credentials, a cluster that is not supported, metadata of a
    /// sync between other clusters. Cancel safe before a takeover has begun; `main` drops the future only to end
    /// the process.
    pub async fn open(&self) -> Result<Arc<Session>, OperatorError> {
        let host = open(self.settings.clone(), &self.waiting, self.audit.clone()).await?;
        tokio::spawn(audit::write_records(Arc::downgrade(&host)));
        tokio::spawn(registration::register(Arc::downgrade(&host)));
        tokio::spawn(worker::work(Arc::downgrade(&host)));
        tokio::spawn(commit_watch::watch(host.clone()));
        tokio::spawn(users::watch(host.clone()));
        let session = Arc::new(Session::of(host));
        // `open` is called once.
        let _ = self.session.set(session.clone());
        Ok(session)
    }

    /// The session, for a call. Waits up to `CALL_WAITS` while it is opening.
    ///
    /// # Errors
    ///
    /// `ConnectionFailed` with the reason of the wait. Cancel safe.
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

    /// The snapshot for `/progress`: of the session, or of the wait for its clusters. Cancel safe.
    pub async fn progress(&self) -> Progress {
        match self.session.get() {
            Some(session) => session.progress().await,
            None => self.waiting_progress(),
        }
    }

    /// The state is still unknown: IDLE, with the reason of the wait.
    fn waiting_progress(&self) -> Progress {
        let reason = self.waiting.reason();
        Progress {
            info: Some("waiting for clusters"),
            cannot_commit: Some(reason.clone()),
            warnings: vec![reason],
            ..progress::unknown(&self.settings.id)
        }
    }

    /// The course of the active sync; empty without one.
    pub fn history(&self) -> History {
        let session = self.session.get();
        session.map(|session| session.history()).unwrap_or_default()
    }

    /// Keeps the record of a call, without a wait.
    pub fn record(&self, record: AuditRecord) {
        self.audit.record(record);
    }

    /// Passes a call on to the leader. `None` where this host answers itself. Cancel safe: the leader carries the call
    /// out, or not.
    pub async fn pass_on(&self, call: PassedCall) -> Option<Result<PassedAnswer, OperatorError>> {
        self.session.get()?.pass_on(&call).await
    }

    /// The next call that another host passes on to this host. Cancel safe.
    pub async fn next_passed_call(&self) -> TakenCall {
        match self.session.wait().await.next_passed_call().await {
            Some(call) => call,
            // This host ends.
            None => std::future::pending().await,
        }
    }

    /// Answers a call that [`Self::next_passed_call`] has returned.
    pub async fn answer_passed_call(&self, id: &str, answer: &PassedAnswer) {
        if let Some(session) = self.session.get() {
            session.answer_passed_call(id, answer).await;
        }
    }

    /// Up to `limit` records of calls with ids before `before`, newest first.
    ///
    /// # Errors
    ///
    /// `ConnectionFailed` if the destination does not answer. Cancel safe.
    pub async fn audit(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, OperatorError> {
        match self.session.get() {
            Some(session) => audit::list(&session.host, before, limit).await,
            None => Ok(audit::page(self.audit.held(before), limit)),
        }
    }

    /// The answer of `/readyz`.
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
