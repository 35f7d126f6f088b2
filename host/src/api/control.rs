//! The calls that the API makes to a session, as a trait that tests replace.

use std::future::Future;

use crate::model::audit::AuditRecord;
use crate::model::commit::CommitOptions;
use crate::model::history::History;
use crate::model::hosts::{PassedAnswer, PassedCall, TakenCall};
use crate::model::mismatch::ListedMismatch;
use crate::model::plugins::{NamespaceSelection, QuarantinedDocument, RetrySummary, SwapRequest};
use crate::model::principals::PrincipalsSurvey;
use crate::model::{OperatorError, Progress, Readiness, StartOptions};
use crate::plugin::InstalledPlugin;
use crate::session::SessionHandle;

/// The calls of a session. A call that returns an error of the caller (a 4xx status) has changed nothing.
///
/// Cancellation: state-changing calls are not cancellation safe. Handlers run them with `answer::run_to_completion`.
pub trait Control: Send + Sync + 'static {
    /// Begins a sync, or continues the sync that was begun with the same options.
    fn start(&self, options: StartOptions) -> impl CallFuture;
    /// Pauses the sync. Returns when the position and the state are persisted.
    fn pause(&self) -> impl CallFuture;
    /// Resumes a paused sync.
    fn resume(&self) -> impl CallFuture;
    /// Begins the cutover. Returns before it is complete.
    fn commit(&self, options: CommitOptions) -> impl CallFuture;
    /// Refused in this release.
    fn reverse(&self) -> impl CallFuture;
    /// Changes the load level, 1 to 4, from now on. Returns when it is persisted.
    fn load_level(&self, level: u8) -> impl CallFuture;
    /// A snapshot of the sync, or of the host while no sync has begun.
    fn progress(&self) -> impl Future<Output = Progress> + Send;
    /// The course of the active sync; empty without one.
    fn history(&self) -> History;
    /// Whether both clusters answer, and the role of this host.
    fn readiness(&self) -> Readiness;
    /// Stops the work, persists the position and releases the lease. The process then exits.
    fn handover(&self) -> impl CallFuture;

    /// The components that this host can run.
    fn plugins(&self) -> impl CallFuture<Vec<InstalledPlugin>>;
    /// Checks and stores a component without activating it.
    fn add_plugin(&self, bytes: Vec<u8>) -> impl CallFuture<InstalledPlugin>;
    /// Deletes the uploaded component with this digest.
    fn remove_plugin(&self, digest: String) -> impl CallFuture;
    /// Swaps components of the sync: all of them, or none.
    fn upgrade(&self, upgrade: SwapRequest) -> impl CallFuture;
    /// Compares the selected collections with the source again. Returns their number when that is persisted.
    fn recopy(&self, selections: Vec<NamespaceSelection>) -> impl CallFuture<u64>;
    /// Up to `limit` documents in quarantine, in the order of their ids, after the id `after`. An empty `after` begins
    /// at the first document.
    fn quarantined(&self, after: String, limit: u32) -> impl CallFuture<Vec<QuarantinedDocument>>;
    /// Gives every document in quarantine to its plugins once more.
    fn retry_quarantined(&self) -> impl CallFuture<RetrySummary>;
    /// Up to `limit` documents that differ or have differed, in the order of their ids, after the id `after`.
    fn mismatches(&self, after: String, limit: u32) -> impl CallFuture<Vec<ListedMismatch>>;
    /// Has all documents that differ written again from the source.
    fn repair_mismatches(&self) -> impl CallFuture;
    /// Has all documents verified again.
    fn verify_again(&self) -> impl CallFuture;

    /// The transfer of users and roles at present, with names; `None` where none was asked for.
    fn users_and_roles(&self) -> impl CallFuture<Option<PrincipalsSurvey>>;

    /// Passes a call on to the leader of the sync. `None` where this host answers itself.
    fn pass_on(
        &self,
        call: PassedCall,
    ) -> impl Future<Output = Option<Result<PassedAnswer, OperatorError>>> + Send;
    /// The next call that a standby passes on to this host.
    fn next_passed_call(&self) -> impl Future<Output = TakenCall> + Send;
    /// Answers a passed call by its id.
    fn answer_passed_call(
        &self,
        id: String,
        answer: PassedAnswer,
    ) -> impl Future<Output = ()> + Send;

    /// Keeps the record of a call, without a wait.
    fn record(&self, record: AuditRecord);
    /// Up to `limit` records of calls with ids before `before`, newest first.
    fn audit(&self, before: Option<String>, limit: u32) -> impl CallFuture<Vec<AuditRecord>>;
}

/// The future of a call, with the call's result or an error for the operator.
pub trait CallFuture<T = ()>: Future<Output = Result<T, OperatorError>> + Send {}

impl<T, F: Future<Output = Result<T, OperatorError>> + Send> CallFuture<T> for F {}

/// Each call first waits up to the session's own limit for a session that is opening.
impl Control for SessionHandle {
    fn start(&self, options: StartOptions) -> impl CallFuture {
        async move { self.session().await?.start(options).await }
    }

    fn pause(&self) -> impl CallFuture {
        async move { self.session().await?.pause().await }
    }

    fn resume(&self) -> impl CallFuture {
        async move { self.session().await?.resume().await }
    }

    fn commit(&self, options: CommitOptions) -> impl CallFuture {
        async move { self.session().await?.commit(options).await }
    }

    fn reverse(&self) -> impl CallFuture {
        async move { self.session().await?.reverse().await }
    }

    fn load_level(&self, level: u8) -> impl CallFuture {
        async move { self.session().await?.load_level(level).await }
    }

    fn progress(&self) -> impl Future<Output = Progress> + Send {
        Self::progress(self)
    }

    fn history(&self) -> History {
        Self::history(self)
    }

    fn readiness(&self) -> Readiness {
        Self::readiness(self)
    }

    fn handover(&self) -> impl CallFuture {
        async move { self.session().await?.handover().await }
    }

    fn plugins(&self) -> impl CallFuture<Vec<InstalledPlugin>> {
        async move { self.session().await?.plugins().await }
    }

    fn add_plugin(&self, bytes: Vec<u8>) -> impl CallFuture<InstalledPlugin> {
        async move { self.session().await?.add_plugin(bytes).await }
    }

    async fn remove_plugin(&self, digest: String) -> Result<(), OperatorError> {
        self.session().await?.remove_plugin(&digest).await
    }

    fn upgrade(&self, upgrade: SwapRequest) -> impl CallFuture {
        async move { self.session().await?.upgrade(upgrade).await }
    }

    async fn recopy(&self, selections: Vec<NamespaceSelection>) -> Result<u64, OperatorError> {
        self.session().await?.recopy(&selections).await
    }

    fn quarantined(&self, after: String, limit: u32) -> impl CallFuture<Vec<QuarantinedDocument>> {
        async move { self.session().await?.quarantined(after, limit).await }
    }

    fn retry_quarantined(&self) -> impl CallFuture<RetrySummary> {
        async move { self.session().await?.retry_quarantined().await }
    }

    async fn mismatches(
        &self,
        after: String,
        limit: u32,
    ) -> Result<Vec<ListedMismatch>, OperatorError> {
        self.session().await?.mismatches(&after, limit).await
    }

    fn repair_mismatches(&self) -> impl CallFuture {
        async move { self.session().await?.repair_mismatches().await }
    }

    fn verify_again(&self) -> impl CallFuture {
        async move { self.session().await?.verify_again().await }
    }

    fn users_and_roles(&self) -> impl CallFuture<Option<PrincipalsSurvey>> {
        async move { self.session().await?.users_and_roles().await }
    }

    fn pass_on(
        &self,
        call: PassedCall,
    ) -> impl Future<Output = Option<Result<PassedAnswer, OperatorError>>> + Send {
        Self::pass_on(self, call)
    }

    fn next_passed_call(&self) -> impl Future<Output = TakenCall> + Send {
        Self::next_passed_call(self)
    }

    async fn answer_passed_call(&self, id: String, answer: PassedAnswer) {
        Self::answer_passed_call(self, &id, &answer).await;
    }

    fn record(&self, record: AuditRecord) {
        Self::record(self, record);
    }

    fn audit(&self, before: Option<String>, limit: u32) -> impl CallFuture<Vec<AuditRecord>> {
        async move { Self::audit(self, before.as_deref(), limit).await }
    }
}
