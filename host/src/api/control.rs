//! What the API needs of a session: the calls, and nothing of how they are done.

use std::future::Future;

use crate::model::{OperatorError, Progress, StartOptions};
use crate::session::Session;

/// A sync under control. A refused call has changed nothing.
pub trait Control: Send + Sync + 'static {
    fn start(&self, options: StartOptions) -> impl Outcome;
    fn pause(&self) -> impl Outcome;
    fn resume(&self) -> impl Outcome;
    fn commit(&self) -> impl Outcome;
    fn reverse(&self) -> impl Outcome;
    fn progress(&self) -> impl Future<Output = Progress> + Send;
    /// True when the sync's clusters answered last time.
    fn is_ready(&self) -> bool;
}

/// How a state-changing call ends.
pub trait Outcome: Future<Output = Result<(), OperatorError>> + Send {}

impl<F: Future<Output = Result<(), OperatorError>> + Send> Outcome for F {}

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

    fn is_ready(&self) -> bool {
        Self::is_ready(self)
    }
}
