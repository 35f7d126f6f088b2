//! What a server or the driver answers when it does not do what was asked.

use std::time::Duration;

use crate::model::{ErrorKind, raw::Malformed};

/// Server error codes that callers branch on (mongo: `src/mongo/base/error_codes.yml`).
pub mod code {
    pub const NAMESPACE_NOT_FOUND: i32 = 26;
    pub const INDEX_NOT_FOUND: i32 = 27;
    pub const NAMESPACE_EXISTS: i32 = 48;
    pub const CHANGE_STREAM_HISTORY_LOST: i32 = 286;
    pub const CAPPED_POSITION_LOST: i32 = 136;
    pub const COMMAND_NOT_SUPPORTED_ON_VIEW: i32 = 166;
    pub const COLLECTION_UUID_MISMATCH: i32 = 361;
    /// Snapshots that are no longer kept, or that the collection was changed after.
    pub const NOT_AT_TIME: [i32; 2] = [239, 246];
    /// A replacement with another `_id` than the document it matched, with a field whose name
    /// begins with a dollar, or of another size than a capped collection's document.
    pub const NOT_AS_REPLACEMENT: [i32; 3] = [66, 52, 10003];
    pub const BSON_OBJECT_TOO_LARGE: i32 = 10334;
    pub const DUPLICATE_KEY: i32 = 11000;
    pub const DATABASE_DIFFER_CASE: i32 = 13297;
}

/// Codes of conditions that pass: elections, shutdowns, lost cursors, locks, conflicts.
const TRANSIENT_CODES: [i32; 34] = [
    6, 7, 24, 43, 46, 50, 64, 89, 91, 94, 112, 133, 134, 175, 189, 202, 234, 237, 239, 246, 262,
    276, 279, 290, 314, 365, 9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436,
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Shown without the command and the reply: those can hold documents.
    #[error("{}", shown(.0))]
    Driver(#[from] mongodb::error::Error),
    /// A write was done but is not yet durable on a majority.
    #[error("the write concern was not satisfied: {message} (code {code})")]
    WriteConcern { code: i32, message: String },
    /// Some statements of a batch were refused.
    #[error(
        "the destination refused a write to {namespace}: {} (code {code})",
        without_values(message)
    )]
    Refused {
        namespace: String,
        code: i32,
        message: String,
    },
    /// A statement failed for a reason that passes, inside a reply that was in order.
    #[error("{} (code {code})", without_values(message))]
    Statement { code: i32, message: String },
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
    #[error("a document could not be read or written as BSON: {0}")]
    Bson(#[from] bson::error::Error),
}

/// What has become of a collection that is not under the name it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It has this name now, in the same database.
    Renamed(String),
    /// It was dropped, or renamed into another database, which makes it another collection.
    Gone,
}

impl Error {
    /// The server's error code, if a server answered.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Driver(error) => driver_code(error),
            Self::WriteConcern { code, .. }
            | Self::Statement { code, .. }
            | Self::Refused { code, .. } => Some(*code),
            Self::Outage { last, .. } => last.code(),
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

    pub fn has_code(&self, code: i32) -> bool {
        self.code() == Some(code)
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            // It has been repeated for long enough.
            Self::Outage { .. } => ErrorKind::Outage,
            _ if self.code().is_some_and(is_transient) => ErrorKind::Transient,
            Self::Driver(error) if is_network(error) => ErrorKind::Transient,
            Self::Stale
            | Self::NoAnswer(_)
            | Self::CursorEnded
            | Self::Conflicts
            | Self::LeaseExpired => ErrorKind::Transient,
            Self::Driver(_)
            | Self::WriteConcern { .. }
            | Self::Statement { .. }
            | Self::Refused { .. }
            | Self::Fenced => ErrorKind::Operator,
            Self::GuardChanged
            | Self::Reply(_)
            | Self::Broken(_)
            | Self::Malformed(_)
            | Self::Bson(_) => ErrorKind::Bug,
        }
    }

    /// The driver's error within, for callers that read it.
    pub(super) fn into_driver(self) -> mongodb::error::Error {
        match self {
            Self::Driver(error) => error,
            Self::Outage { last, .. } => last.into_driver(),
            other => std::io::Error::other(other.to_string()).into(),
        }
    }

    /// Where a collection that was asked for by UUID and under the name `asked`
    /// is now; `None` if the error says nothing about that.
    pub fn whereabouts(&self, asked: &str) -> Option<Whereabouts> {
        if self.has_code(code::NAMESPACE_NOT_FOUND) {
            return Some(Whereabouts::Gone);
        }
        let Self::Driver(error) = self else {
            return None;
        };
        if !self.has_code(code::COLLECTION_UUID_MISMATCH) {
            return None;
        }
        match error.server_response()?.get_str("actualCollection") {
            Ok(actual) if actual != asked => Some(Whereabouts::Renamed(actual.to_owned())),
            _ => Some(Whereabouts::Gone),
        }
    }
}

/// True for a code that passes, in whatever part of a reply it stands.
pub(super) fn is_transient(code: i32) -> bool {
    TRANSIENT_CODES.contains(&code)
}

fn shown_time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn shown(error: &mongodb::error::Error) -> String {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::Command(command) => {
            format!(
                "{} (code {})",
                without_values(&command.message),
                command.code
            )
        }
        other => other.to_string(),
    }
}

/// A server's message without the values of keys that it quotes at its end.
fn without_values(message: &str) -> &str {
    message
        .split_once(" dup key:")
        .map_or(message, |(before, _)| before)
}

fn is_network(error: &mongodb::error::Error) -> bool {
    use mongodb::error::ErrorKind as Driver;
    matches!(
        error.kind.as_ref(),
        Driver::Io(_)
            | Driver::ConnectionPoolCleared { .. }
            | Driver::ServerSelection { .. }
            | Driver::DnsResolve { .. }
    ) || error.contains_label(mongodb::error::RETRYABLE_WRITE_ERROR)
        || error.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR)
        || error.contains_label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

fn driver_code(error: &mongodb::error::Error) -> Option<i32> {
    use mongodb::error::{ErrorKind as Driver, WriteFailure};
    match error.kind.as_ref() {
        Driver::Command(command) => Some(command.code),
        Driver::Write(WriteFailure::WriteError(write)) => Some(write.code),
        Driver::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        Driver::InsertMany(failure) => {
            let refused = failure.write_errors.iter().flatten().next();
            let concern = failure.write_concern_error.as_ref();
            refused
                .map(|error| error.code)
                .or(concern.map(|concern| concern.code))
        }
        _ => None,
    }
}
