//! What a server or the driver answers when it does not do what was asked.
//!
//! Invariant: no form of an error quotes a document. Texts of servers and of the driver are shown
//! through [`ServerError`] and [`DriverError`] alone, and `source` of an error gives nothing.

use std::{fmt, time::Duration};

use super::{
    DriverError, ServerError,
    code::{self, is_transient},
    driver_error::unreadable,
};
use crate::model::{ErrorKind, raw::Malformed};

#[derive(thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Driver(DriverError),
    /// A write was done but is not yet durable on a majority.
    #[error("the write concern was not satisfied: {0}")]
    WriteConcern(ServerError),
    /// The destination does not take a command, or a statement of a batch.
    #[error("the destination refused {what} {namespace}: {error}")]
    Refused {
        /// With its preposition: `a write to`.
        what: String,
        namespace: String,
        error: ServerError,
    },
    /// A statement failed for a reason that passes, inside a reply that was in order.
    #[error("{0}")]
    Statement(ServerError),
    /// Something else than this host has written to a guard document of its term.
    #[error("a guard document of the metadata has been changed by something else")]
    GuardChanged,
    /// The smallest transactions conflicted, or were broken off, for as long as an outage may take.
    #[error("other operations on the destination have kept transactions from being committed")]
    Conflicts,
    /// An attempt was given up: the cluster may be frozen, or the network silent.
    #[error("no answer within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    /// A command that is repeated has failed until its deadline.
    #[error("{what} on {cluster} failed for {}: {last}", shown_time(*tried))]
    Outage {
        cluster: &'static str,
        what: &'static str,
        tried: Duration,
        last: Box<Self>,
    },
    /// A cursor that does not end by itself.
    #[error("the server has closed the cursor")]
    CursorEnded,
    /// A read came from a time before what it had to see.
    #[error("the source answered with an older state than it has shown before")]
    Stale,
    /// This host has not been able to renew its lease; whether a write was done is not known.
    #[error("the lease on the sync has to be renewed first")]
    LeaseExpired,
    /// Another host works on the sync. Nothing is written any more.
    #[error("another host has taken the sync over")]
    Fenced,
    #[error("the server's reply has no `{0}`")]
    Reply(&'static str),
    /// What must hold whatever happens does not. Nothing is built on it.
    #[error("a rule of tidegate's own is broken: {0}")]
    Broken(&'static str),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{}", unreadable(.0))]
    Bson(bson::error::Error),
}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Driver(error.into())
    }
}

impl From<bson::error::Error> for Error {
    fn from(error: bson::error::Error) -> Self {
        Self::Bson(error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What has become of a collection that is not under the name it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionLocation {
    /// It has this name now, in the same database.
    Renamed(String),
    /// It was dropped, or renamed into another database, which makes it another collection.
    Gone,
}

impl Error {
    /// What a server answered, if one did.
    fn server_error(&self) -> Option<ServerError> {
        match self {
            Self::Driver(error) => error.server_error(),
            Self::WriteConcern(error) | Self::Statement(error) | Self::Refused { error, .. } => {
                Some(error.clone())
            }
            Self::Outage { last, .. } => last.server_error(),
            Self::Stale
            | Self::NoAnswer(_)
            | Self::CursorEnded
            | Self::Conflicts
            | Self::GuardChanged
            | Self::LeaseExpired
            | Self::Fenced
            | Self::Reply(_)
            | Self::Broken(_)
            | Self::Malformed(_)
            | Self::Bson(_) => None,
        }
    }

    /// The server's error code, if a server answered.
    pub fn code(&self) -> Option<i32> {
        self.server_error().map(|error| error.code)
    }

    pub fn has_code(&self, code: i32) -> bool {
        self.code() == Some(code)
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            // It has been repeated for long enough.
            Self::Outage { .. } => ErrorKind::Outage,
            _ if self.code().is_some_and(is_transient) => ErrorKind::Transient,
            Self::Driver(error) if error.is_network() => ErrorKind::Transient,
            Self::Stale
            | Self::NoAnswer(_)
            | Self::CursorEnded
            | Self::Conflicts
            | Self::LeaseExpired => ErrorKind::Transient,
            Self::Driver(_)
            | Self::WriteConcern(_)
            | Self::Statement(_)
            | Self::Refused { .. }
            | Self::Fenced => ErrorKind::Operator,
            Self::GuardChanged
            | Self::Reply(_)
            | Self::Broken(_)
            | Self::Malformed(_)
            | Self::Bson(_) => ErrorKind::Bug,
        }
    }

    /// The error of a command that was refused for good, with the command's name and the collection. What
    /// says where a collection is by now is left as it is: callers go on with it.
    pub(in crate::mongo) fn of_command(self, what: &str, namespace: &str) -> Self {
        match self.server_error() {
            Some(error)
                if self.kind() == ErrorKind::Operator
                    && matches!(self, Self::Driver(_))
                    && error.code != code::COLLECTION_UUID_MISMATCH =>
            {
                Self::Refused {
                    what: format!("{what} of"),
                    namespace: namespace.to_owned(),
                    error,
                }
            }
            _ => self,
        }
    }

    /// True if the driver has found no primary.
    pub(in crate::mongo) fn found_no_server(&self) -> bool {
        matches!(self, Self::Driver(error) if error.found_no_server())
    }

    /// True if the driver or the server does not take the credentials.
    pub(in crate::mongo) fn is_authentication(&self) -> bool {
        match self {
            Self::Driver(error) => {
                error.is_authentication() || self.has_code(code::AUTHENTICATION_FAILED)
            }
            Self::Outage { last, .. } => last.is_authentication(),
            _ => false,
        }
    }

    /// True if the server says that the user may not run the command.
    pub(in crate::mongo) fn is_unauthorized(&self) -> bool {
        self.has_code(code::UNAUTHORIZED)
    }

    /// True for an error that neither a cluster nor an operator can be the cause of.
    pub(in crate::mongo) fn is_bug(&self) -> bool {
        match self {
            Self::Driver(error) => error.is_bug(),
            _ => self.kind() == ErrorKind::Bug,
        }
    }

    /// The database that keeps one of another name, in which the case of letters alone differs, from being
    /// made.
    pub fn database_in_the_way(&self) -> Option<String> {
        let error = self.server_error()?;
        error.database_in_the_way().map(str::to_owned)
    }

    /// Where a collection that was asked for by UUID and under the name `asked`
    /// is now; `None` if the error says nothing about that.
    pub fn location(&self, asked: &str) -> Option<CollectionLocation> {
        if self.has_code(code::NAMESPACE_NOT_FOUND) {
            return Some(CollectionLocation::Gone);
        }
        let Self::Driver(error) = self else {
            return None;
        };
        if !self.has_code(code::COLLECTION_UUID_MISMATCH) {
            return None;
        }
        match error.reply()?.get_str("actualCollection") {
            Ok(actual) if actual != asked => Some(CollectionLocation::Renamed(actual.to_owned())),
            _ => Some(CollectionLocation::Gone),
        }
    }
}

fn shown_time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
