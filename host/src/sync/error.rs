//! The reasons that end a sync's work.

use crate::{
    model::{ErrorKind, ErrorName, OperatorError, raw::Malformed},
    mongo,
};

/// A failure of a sync's work, or its cancellation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A failure with a stable name, described for the operator.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A failure of a cluster, or an invalid document of it. Transient errors were retried before.
    #[error(transparent)]
    Mongo(#[from] mongo::Error),
    /// The source's oplog no longer holds the position of the stream, or the server does not find it there.
    #[error(transparent)]
    PositionLost(mongo::Error),
    /// Not a failure: hidden DDL of the source asks for a resync.
    #[error("the source's collections have changed, which no event has shown")]
    HiddenDdl,
    /// Not a failure: the stream has to begin again with other options.
    #[error("the change stream begins again")]
    StreamOptions,
    /// A task of the work that panicked, or that the end of the runtime cancelled.
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
            Error::Mongo(error) | Error::PositionLost(error) => error.into(),
            Error::Task(_) | Error::Cancelled | Error::HiddenDdl | Error::StreamOptions => {
                Self::new(ErrorName::InternalError, error.to_string())
            }
        }
    }
}

impl Error {
    /// The error, if commit can try again later. A sync of another host must not go on, and an
    /// outage ends the work.
    ///
    /// # Errors
    /// The error, if it ends the work.
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
