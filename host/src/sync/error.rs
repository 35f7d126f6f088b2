//! Why a sync stopped.

use crate::{
    model::{ErrorKind, ErrorName, OperatorError, raw::Malformed},
    mongo,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Mongo(#[from] mongo::Error),
    #[error("a task of ours ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// Not a failure: the session asked the work to stop.
    #[error("stopped on request")]
    Cancelled,
}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Mongo(error.into())
    }
}

/// The error as an operator sees it: a stable name and a remedy.
impl From<Error> for OperatorError {
    fn from(error: Error) -> Self {
        match error {
            Error::Operator(error) => error,
            Error::Mongo(error) => error.into(),
            Error::Task(_) | Error::Cancelled => {
                Self::new(ErrorName::InternalError, error.to_string())
            }
        }
    }
}

impl Error {
    /// The error, where commit tries again what failed. Another host's sync is not ours to go on with, and
    /// an outage ends the work.
    ///
    /// # Errors
    /// The error, where it ends the work.
    pub(super) fn unless_fatal(self) -> Result<Self, Self> {
        match self {
            Self::Mongo(ref failed)
                if matches!(failed, mongo::Error::Fenced) || failed.kind() == ErrorKind::Outage =>
            {
                Err(self)
            }
            other => Ok(other),
        }
    }
}
