//! Errors of commands.
//!
//! Invariant: no form of an error quotes a document. Texts of servers and of the driver are shown only
//! through [`ServerError`] and [`DriverError`], and `source` of an error is empty.

use std::{fmt, time::Duration};

use super::{
    DriverError, ServerError,
    code::{self, is_transient},
    driver_error::unreadable,
};
use crate::model::{ErrorKind, raw::Malformed};

/// An error of a command, or of the driver.
#[derive(thiserror::Error)]
pub enum Error {
    /// An error that the driver returned: the server's refusal of a command, a network failure, or a
    /// refusal by the driver itself.
    #[error("{0}")]
    Driver(DriverError),
    /// A write was done but is not yet durable on a majority.
    #[error("the write concern was not satisfied: {0}")]
    WriteConcern(ServerError),
    /// The destination refused a command or a statement.
    #[error("the destination refused {what} {namespace}: {error}")]
    Refused {
        /// With its preposition: `a write to`.
        what: String,
        /// The collection, as `database.collection`.
        namespace: String,
        /// The server's refusal of the command or the statement.
        error: ServerError,
    },
    /// A transient error of a statement, in a reply without an error of the command.
    #[error("{0}")]
    Statement(ServerError),
    /// Another writer has changed a guard document in this host's term.
    #[error("another client has changed a guard document of the metadata")]
    GuardChanged,
    /// The smallest transactions were aborted by conflicts for the time of an outage.
    #[error("conflicts with other operations on the destination have prevented a commit")]
    Conflicts,
    /// An attempt exceeded its time: the cluster may be frozen, or the network silent.
    #[error("no answer within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    /// All attempts of a command have failed until its deadline.
    #[error("{what} on {cluster} failed for {}: {last}", shown_time(*tried))]
    Outage {
        /// The cluster's name in messages: `the source` or `the destination`, and before a sync `cluster0` or
        /// `cluster1`.
        cluster: &'static str,
        /// The command in words, such as `list databases`.
        what: &'static str,
        /// Time taken by the attempts and the pauses between them.
        tried: Duration,
        /// The transient error of the last attempt.
        last: Box<Self>,
    },
    /// The server closed a cursor that has no end.
    #[error("the server has closed the cursor")]
    CursorEnded,
    /// A change event that no change stream delivers.
    #[error("the _id of a change event is too large for every change stream (more than 3.2 MiB)")]
    EventTooLarge,
    /// A read came from an earlier time than a previous read.
    #[error("a read returned an older state than a previous read")]
    Stale,
    /// The lease was not renewed in time; whether a write was done is unknown.
    #[error("the lease on the sync was not renewed in time")]
    LeaseExpired,
    /// Another host works on the sync. This host must not write.
    #[error("another host has taken the sync over")]
    Fenced,
    /// A reply or a stored document lacks the named part, or has it with another type.
    #[error("the server's reply has no `{0}`")]
    Reply(&'static str),
    /// A violated invariant.
    #[error("an invariant of tidegate is violated: {0}")]
    Broken(&'static str),
    /// Bytes that are no valid BSON, found by the plugins' reader of raw documents.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Bytes or values that the `bson` library cannot read or write. Shown without its text, which quotes
    /// values.
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

/// Location of a collection that does not have the requested name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionLocation {
    /// The collection has this name now, in the same database.
    Renamed(String),
    /// The collection was dropped, or renamed into another database, which makes it another collection.
    Gone,
}

impl Error {
    /// The server's error, if a server answered.
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
            | Self::EventTooLarge
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

    /// This error of a command that had waited for so long before its first attempt: an outage counts from then.
    pub(in crate::mongo) fn after(mut self, waited: Duration) -> Self {
        if let Self::Outage { tried, .. } = &mut self {
            *tried += waited;
        }
        self
    }

    /// The server's error code, if a server answered.
    pub fn code(&self) -> Option<i32> {
        self.server_error().map(|error| error.code)
    }

    /// True if a server answered with this error code.
    pub fn has_code(&self, code: i32) -> bool {
        self.code() == Some(code)
    }

    /// The kind of the error: the reaction that it asks for.
    pub fn kind(&self) -> ErrorKind {
        match self {
            // Its last error is transient, and all attempts are made.
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
            | Self::EventTooLarge
            | Self::Fenced => ErrorKind::Operator,
            Self::GuardChanged
            | Self::Reply(_)
            | Self::Broken(_)
            | Self::Malformed(_)
            | Self::Bson(_) => ErrorKind::Bug,
        }
    }

    /// True for the answer to a change stream whose position is lost.
    pub fn is_position_lost(&self) -> bool {
        self.code()
            .is_some_and(|code| code::POSITION_LOST.contains(&code))
    }

    /// True if the server has closed the connection before it answered.
    pub fn is_cut_connection(&self) -> bool {
        matches!(self, Self::Driver(error) if error.is_cut_connection())
    }

    /// Adds the command's name and the collection to the error of a refused command. An error that
    /// tells a collection's location is left unchanged: callers go on with it.
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

    /// True if the driver or the server refuses the credentials.
    pub(in crate::mongo) fn is_authentication(&self) -> bool {
        match self {
            Self::Driver(error) => {
                error.is_authentication() || self.has_code(code::AUTHENTICATION_FAILED)
            }
            Self::Outage { last, .. } => last.is_authentication(),
            _ => false,
        }
    }

    /// True if the source of tokens gives none.
    pub(in crate::mongo) fn is_token_missing(&self) -> bool {
        match self {
            Self::Driver(error) => error.token_fault().is_some(),
            Self::Outage { last, .. } => last.is_token_missing(),
            _ => false,
        }
    }

    /// True if the user lacks a privilege for the command.
    pub(in crate::mongo) fn is_unauthorized(&self) -> bool {
        self.has_code(code::UNAUTHORIZED)
    }

    /// True for an error of tidegate itself.
    pub(in crate::mongo) fn is_bug(&self) -> bool {
        match self {
            Self::Driver(error) => error.is_bug(),
            _ => self.kind() == ErrorKind::Bug,
        }
    }

    /// The existing database whose name differs from a new name only in the case of letters (code 13297).
    pub fn conflicting_database(&self) -> Option<String> {
        let error = self.server_error()?;
        error.conflicting_database().map(str::to_owned)
    }

    /// Location of the collection that was requested by UUID and by the name `asked`; `None` if the
    /// error does not tell it.
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
