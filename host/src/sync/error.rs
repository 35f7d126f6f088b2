//! Why a sync stopped.

use crate::{
    model::{ErrorName, OperatorError, raw::Malformed},
    mongo::{self, code},
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

impl Error {
    /// The error as an operator sees it: a stable name and a remedy.
    pub fn into_operator(self) -> OperatorError {
        match self {
            Self::Operator(error) => error,
            Self::Mongo(mongo::Error::Fenced) => OperatorError::new(
                ErrorName::StandbyInstance,
                "Another host has taken the sync over. This one has stopped, and is its standby now.",
            ),
            Self::Mongo(error) => from_mongo(&error),
            Self::Task(_) | Self::Cancelled => {
                OperatorError::new(ErrorName::InternalError, self.to_string())
            }
        }
    }
}

fn from_mongo(error: &mongo::Error) -> OperatorError {
    use crate::model::ErrorKind;
    if let mongo::Error::Outage { cluster, .. } = error {
        return OperatorError::new(
            ErrorName::ConnectionFailed,
            format!("Bring {cluster} back and try again: {error}"),
        );
    }
    let (name, remedy) = match error.code() {
        Some(code::CHANGE_STREAM_HISTORY_LOST | code::CAPPED_POSITION_LOST) => (
            ErrorName::OplogRolledOver,
            "The source's oplog no longer holds the position that the sync has reached, so changes are lost to it. \
             Drop the destination's data and the database mongosync_internal_tidegate, enlarge the source's oplog, \
             and start again.",
        ),
        Some(code::BSON_OBJECT_TOO_LARGE) => (
            ErrorName::ChangeEventTooLarge,
            "A change event on the source is larger than 16 MB, which this server version cannot deliver. \
             Exclude the collection that it comes from, and start again.",
        ),
        Some(code::UNAUTHORIZED) => (
            ErrorName::MissingPrivileges,
            "Grant what is missing and resume.",
        ),
        Some(code::AUTHENTICATION_FAILED) => (
            ErrorName::AuthenticationFailed,
            "Check the user and its password, and restart.",
        ),
        _ if error.kind() == ErrorKind::Transient => (
            ErrorName::ConnectionFailed,
            "A cluster did not answer. Try again when it does.",
        ),
        Some(_) => (
            ErrorName::DestinationRefused,
            "The server refused an operation that the sync needs. Remove the cause that its code stands for, and resume: see the server's log for its own text.",
        ),
        None => (
            ErrorName::InternalError,
            "Please report this with the log. The sync can be resumed.",
        ),
    };
    OperatorError::new(name, format!("{remedy} The cause: {error}."))
}
