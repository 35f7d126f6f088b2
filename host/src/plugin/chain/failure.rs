//! Failures of calls, and the document or plugin at fault.

use super::super::abi::v1_0_0::transform;
use super::super::batch::Batch;
use super::super::error::{Call, Error};
use super::super::runtime::Pool;
use super::fault::FaultKind;
use super::validation::OutputError;

/// A call without an outcome.
pub(super) struct Failure {
    pub(super) blame: Blame,
    pub(super) error: Box<Error>,
}

/// The party at fault.
#[derive(Clone, Copy)]
pub(super) enum Blame {
    /// The document at this position of the batch.
    Document(usize, FaultKind),
    /// An unknown document of the batch: the guest trapped.
    Unknown(FaultKind),
    /// The plugin itself: no document can be quarantined for it.
    Plugin,
}

impl Failure {
    /// The failure of a call that ended without an answer.
    pub(super) fn ended(error: Error) -> Self {
        let blame = match &error {
            Error::Trapped { trap, .. } => Blame::Unknown(FaultKind::Trap(trap.kind)),
            _ => Blame::Plugin,
        };
        Self {
            blame,
            error: Box::new(error),
        }
    }

    /// The failure of a call that the guest answered with an error.
    pub(super) fn answered(error: transform::Error, batch: Batch<'_>, call: Call) -> Self {
        let (blame, reason) = match error {
            transform::Error::Fatal(reason) => (Blame::Plugin, reason),
            transform::Error::Document(error) => match usize::try_from(error.index) {
                Ok(index) if index < batch.count => {
                    (Blame::Document(index, FaultKind::Document), error.reason)
                }
                _ => {
                    let (index, count) = (error.index, batch.count);
                    let reason = format!("it refused document {index} of a batch of {count}");
                    (Blame::Plugin, reason)
                }
            },
        };
        Self {
            blame,
            error: Box::new(Error::failed(call, &reason)),
        }
    }

    /// Masks the secrets of the guest's configuration.
    pub(super) fn masked(self, pool: &Pool) -> Self {
        Self {
            error: Box::new(pool.masked(*self.error)),
            ..self
        }
    }

    /// The failure of a call with invalid output.
    pub(super) fn invalid(error: &OutputError, call: Call) -> Self {
        let blame = error.index.map_or(Blame::Plugin, |index| {
            Blame::Document(index, FaultKind::Output)
        });
        Self {
            blame,
            error: Box::new(Error::failed(call, &error.reason)),
        }
    }
}
