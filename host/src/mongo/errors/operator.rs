//! Errors of a cluster in their form for operators: a stable name and a remedy. No other file converts
//! an [`Error`] into an [`OperatorError`].

use super::{Error, code};
use crate::model::{ErrorKind, ErrorName, OperatorError};

impl From<Error> for OperatorError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// For errors of a sync's work.
impl From<&Error> for OperatorError {
    fn from(error: &Error) -> Self {
        match error {
            Error::Fenced => Self::new(
                ErrorName::StandbyInstance,
                "Another host has taken the sync over. This host has stopped, and is a standby now.",
            ),
            Error::Outage { cluster, .. } => Self::new(
                ErrorName::ConnectionFailed,
                format!("Bring {cluster} back and try again: {error}"),
            ),
            _ => {
                let (name, remedy) = name_and_remedy(error);
                Self::new(name, format!("{remedy} The cause: {error}."))
            }
        }
    }
}

fn name_and_remedy(error: &Error) -> (ErrorName, &'static str) {
    match error.code() {
        _ if error.is_position_lost() => (
            ErrorName::OplogRolledOver,
            "The source's oplog no longer holds what the sync reads from it. A sync that was started with \
             onOplogRollover \"stop\" cannot go on: drop the destination's data and the database \
             mongosync_internal_tidegate, enlarge the source's oplog, and start again. Any other sync: resume.",
        ),
        _ if matches!(error, Error::EventTooLarge) => (
            ErrorName::ChangeEventTooLarge,
            "The sync was started with onOplogRollover \"stop\", so it does not go past the event. Start again \
             with \"resync\", or exclude the collection.",
        ),
        Some(code::UNAUTHORIZED) => (
            ErrorName::MissingPrivileges,
            "Grant what is missing and resume.",
        ),
        Some(code::USER_WRITES_BLOCKED) => (
            ErrorName::WritesBlocked,
            "The destination refuses writes of users (setUserWriteBlockMode), and the user of the sync is not exempt. \
             Grant it bypassWriteBlockingMode, or lift the block, and resume.",
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
            "The server refused an operation that the sync needs. Remove the cause, and resume. The server's log has its own text.",
        ),
        None => (
            ErrorName::InternalError,
            "Please report this with the log. The sync can be resumed.",
        ),
    }
}

/// For errors of the connection and the preflight. `cluster` is the name in the message; `place` tells the
/// hosts, and may be empty.
pub(in crate::mongo) fn refusal(cluster: &str, error: &Error, place: &str) -> OperatorError {
    // The time of the attempts is left out: the operator has waited for a single answer.
    let error = match error {
        Error::Outage { last, .. } => last,
        other => other,
    };
    let reason = error.to_string();
    let reason = reason.trim_end_matches('.');
    if error.is_token_missing() {
        return OperatorError::new(
            ErrorName::AuthenticationFailed,
            format!(
                "There is no token for {cluster}: {reason}. Check the identity of this machine or pod, and \
                 authMechanismProperties in the connection string."
            ),
        );
    }
    if error.is_authentication() {
        return authentication_failed(cluster, place, reason);
    }
    if error.is_unauthorized() {
        return missing_privilege(cluster, reason);
    }
    if error.is_bug() {
        return error.into();
    }
    OperatorError::new(
        ErrorName::ConnectionFailed,
        format!(
            "The primary of {cluster}{place} does not answer: {reason}. Check the hosts and \
             options of its connection string, the network, and that the replica set has a \
             primary."
        ),
    )
}

fn missing_privilege(cluster: &str, reason: &str) -> OperatorError {
    if reason.contains("requires authentication") {
        return authentication_required(cluster);
    }
    OperatorError::new(
        ErrorName::MissingPrivileges,
        format!(
            "The user of {cluster} lacks a privilege: {reason}. Grant it the role that \
             docs/preflight.md gives for its side."
        ),
    )
}

/// For a cluster with access control and a connection string without a user.
pub(in crate::mongo) fn authentication_required(cluster: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::AuthenticationFailed,
        format!(
            "{cluster} has access control and its connection string names no user. Create a user for \
             {cluster} as docs/preflight.md says and put it into the connection string."
        ),
    )
}

fn authentication_failed(cluster: &str, place: &str, reason: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::AuthenticationFailed,
        format!(
            "{cluster}{place} refuses the credentials: {reason}. Check the user name, the \
             password, authSource and authMechanism in its connection string."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_not_told_as_a_cluster_that_does_not_answer() {
        for (error, name) in [
            (Error::Reply("ok"), ErrorName::InternalError),
            (Error::Broken("a rule"), ErrorName::InternalError),
            (Error::GuardChanged, ErrorName::InternalError),
            (Error::Stale, ErrorName::ConnectionFailed),
            (Error::CursorEnded, ErrorName::ConnectionFailed),
        ] {
            assert_eq!(refusal("cluster0", &error, "").name, name, "{error}");
            assert_eq!(OperatorError::from(error).name, name);
        }
    }
}
