//! What the API needs of a session: the calls, and nothing of how they are done.

use std::future::Future;

use crate::model::plugins::{InstalledPlugin, QuarantinedDocument, Retried, Upgrade};
use crate::model::{OperatorError, Progress, Readiness, StartOptions};
use crate::session::Session;

/// A sync under control. A refused call has changed nothing.
pub trait Control: Send + Sync + 'static {
    fn start(&self, options: StartOptions) -> impl Outcome;
    fn pause(&self) -> impl Outcome;
    fn resume(&self) -> impl Outcome;
    fn commit(&self) -> impl Outcome;
    fn reverse(&self) -> impl Outcome;
    fn progress(&self) -> impl Future<Output = Progress> + Send;
    fn readiness(&self) -> Readiness;
    /// Gives the sync to whoever wants it; the process ends then.
    fn handover(&self) -> impl Outcome;

    fn plugins(&self) -> impl Answer<Vec<InstalledPlugin>>;
    /// Checks and stores a component; activates nothing.
    fn add_plugin(&self, bytes: Vec<u8>) -> impl Answer<InstalledPlugin>;
    /// Deletes an uploaded component by its digest.
    fn remove_plugin(&self, digest: String) -> impl Outcome;
    /// Swaps components of the sync.
    fn upgrade(&self, upgrade: Upgrade) -> impl Outcome;
    /// Documents in quarantine behind `after` (an id, or empty).
    fn quarantined(&self, after: String, limit: u32) -> impl Answer<Vec<QuarantinedDocument>>;
    /// Tries every document in quarantine once more.
    fn retry_quarantined(&self) -> impl Answer<Retried>;
}

/// How a call that answers something ends.
pub trait Answer<T>: Future<Output = Result<T, OperatorError>> + Send {}

impl<T, F: Future<Output = Result<T, OperatorError>> + Send> Answer<T> for F {}

/// How a state-changing call ends.
pub trait Outcome: Answer<()> {}

impl<F: Answer<()>> Outcome for F {}

impl Control for Session {
    fn start(&self, options: StartOptions) -> impl Outcome {
        Self::start(self, options)
    }

    fn pause(&self) -> impl Outcome {
        Self::pause(self)
    }

    fn resume(&self) -> impl Outcome {
        Self::resume(self)
    }

    fn commit(&self) -> impl Outcome {
        Self::commit(self)
    }

    fn reverse(&self) -> impl Outcome {
        Self::reverse(self)
    }

    fn progress(&self) -> impl Future<Output = Progress> + Send {
        Self::progress(self)
    }

    fn readiness(&self) -> Readiness {
        Self::readiness(self)
    }

    fn handover(&self) -> impl Outcome {
        Self::handover(self)
    }

    fn plugins(&self) -> impl Answer<Vec<InstalledPlugin>> {
        Self::plugins(self)
    }

    fn add_plugin(&self, bytes: Vec<u8>) -> impl Answer<InstalledPlugin> {
        Self::add_plugin(self, bytes)
    }

    async fn remove_plugin(&self, digest: String) -> Result<(), OperatorError> {
        Self::remove_plugin(self, &digest).await
    }

    fn upgrade(&self, upgrade: Upgrade) -> impl Outcome {
        Self::upgrade(self, upgrade)
    }

    fn quarantined(&self, after: String, limit: u32) -> impl Answer<Vec<QuarantinedDocument>> {
        Self::quarantined(self, after, limit)
    }

    fn retry_quarantined(&self) -> impl Answer<Retried> {
        Self::retry_quarantined(self)
    }
}
