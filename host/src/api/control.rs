//! What the API needs of a session: the calls, and nothing of how they are done.

use std::future::Future;

use crate::model::plugins::{QuarantinedDocument, Retried, Upgrade};
use crate::model::{OperatorError, Progress, Readiness, StartOptions};
use crate::plugin::InstalledPlugin;
use crate::session::SessionHandle;

/// A sync under control. A refused call has changed nothing.
pub trait Control: Send + Sync + 'static {
    fn start(&self, options: StartOptions) -> impl CallFuture;
    fn pause(&self) -> impl CallFuture;
    fn resume(&self) -> impl CallFuture;
    fn commit(&self) -> impl CallFuture;
    fn reverse(&self) -> impl CallFuture;
    fn progress(&self) -> impl Future<Output = Progress> + Send;
    fn readiness(&self) -> Readiness;
    /// Gives the sync to whoever wants it; the process ends then.
    fn handover(&self) -> impl CallFuture;

    fn plugins(&self) -> impl CallFuture<Vec<InstalledPlugin>>;
    /// Checks and stores a component; activates nothing.
    fn add_plugin(&self, bytes: Vec<u8>) -> impl CallFuture<InstalledPlugin>;
    /// Deletes an uploaded component by its digest.
    fn remove_plugin(&self, digest: String) -> impl CallFuture;
    /// Swaps components of the sync.
    fn upgrade(&self, upgrade: Upgrade) -> impl CallFuture;
    /// Documents in quarantine behind `after` (an id, or empty).
    fn quarantined(&self, after: String, limit: u32) -> impl CallFuture<Vec<QuarantinedDocument>>;
    /// Tries every document in quarantine once more.
    fn retry_quarantined(&self) -> impl CallFuture<Retried>;
}

/// The future of a call. A caller that has to finish the call runs it in a task of its own.
pub trait CallFuture<T = ()>: Future<Output = Result<T, OperatorError>> + Send {}

impl<T, F: Future<Output = Result<T, OperatorError>> + Send> CallFuture<T> for F {}

/// A call waits a little for a session that is opening.
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

    fn commit(&self) -> impl CallFuture {
        async move { self.session().await?.commit().await }
    }

    fn reverse(&self) -> impl CallFuture {
        async move { self.session().await?.reverse().await }
    }

    fn progress(&self) -> impl Future<Output = Progress> + Send {
        Self::progress(self)
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

    fn upgrade(&self, upgrade: Upgrade) -> impl CallFuture {
        async move { self.session().await?.upgrade(upgrade).await }
    }

    fn quarantined(&self, after: String, limit: u32) -> impl CallFuture<Vec<QuarantinedDocument>> {
        async move { self.session().await?.quarantined(after, limit).await }
    }

    fn retry_quarantined(&self) -> impl CallFuture<Retried> {
        async move { self.session().await?.retry_quarantined().await }
    }
}
