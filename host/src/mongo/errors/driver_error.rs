//! An error of the driver, shown without quotations of replies.
//!
//! The driver's texts quote replies, and with them documents. Invariant: no other file reads a text of a
//! driver's error, except `cluster/uri.rs` for texts about connection strings.

use std::fmt;

use bson::RawDocument;
use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, WriteFailure,
};
use mongodb::error::{UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteConcernError};

use super::{ServerError, selection};

/// An error of the driver.
#[derive(Clone)]
pub struct DriverError(Error);

/// The reason why a source of tokens gives none, without a token: the only text that this host sends through the driver.
pub(in crate::mongo) struct TokenFault(pub(in crate::mongo) String);

impl From<Error> for DriverError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl DriverError {
    /// The server's error, if a server answered.
    pub(super) fn server_error(&self) -> Option<ServerError> {
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        let concern = |error: &WriteConcernError| {
            ServerError::new(error.code, &error.code_name, &error.message)
        };
        match self.0.kind.as_ref() {
            ErrorKind::Command(error) => Some(ServerError::new(
                error.code,
                &error.code_name,
                &error.message,
            )),
            ErrorKind::Write(WriteFailure::WriteError(error)) => Some(ServerError::new(
                error.code,
                &named(&error.code_name),
                &error.message,
            )),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(concern(error)),
            ErrorKind::InsertMany(failure) => {
                let refused = failure.write_errors.iter().flatten().next();
                let refused = refused.map(|error| {
                    ServerError::new(error.code, &named(&error.code_name), &error.message)
                });
                refused.or_else(|| failure.write_concern_error.as_ref().map(concern))
            }
            _ => None,
        }
    }

    /// The reply, only for fields that hold names.
    pub(super) fn reply(&self) -> Option<&RawDocument> {
        self.0.server_response().map(|reply| &**reply)
    }

    pub(super) fn is_authentication(&self) -> bool {
        matches!(self.0.kind.as_ref(), ErrorKind::Authentication { .. })
            || self.token_fault().is_some()
    }

    pub(super) fn token_fault(&self) -> Option<&TokenFault> {
        self.0.get_custom()
    }

    /// True for a document of this host that the driver cannot handle, and for a fault of the driver. An
    /// invalid argument can come from the connection string, so it does not count.
    pub(super) fn is_bug(&self) -> bool {
        matches!(
            self.0.kind.as_ref(),
            ErrorKind::Bson(_) | ErrorKind::Internal { .. } | ErrorKind::Transaction { .. }
        )
    }

    /// True if the driver found no primary.
    pub(super) fn found_no_server(&self) -> bool {
        matches!(self.0.kind.as_ref(), ErrorKind::ServerSelection { .. })
    }

    /// True if an open connection has ended.
    pub(super) fn is_cut_connection(&self) -> bool {
        use std::io::ErrorKind as Io;
        matches!(self.0.kind.as_ref(), ErrorKind::Io(error) if matches!(
            error.kind(),
            Io::UnexpectedEof | Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe
        ))
    }

    /// True for faults of the network and for elections.
    pub(super) fn is_network(&self) -> bool {
        matches!(
            self.0.kind.as_ref(),
            ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::ServerSelection { .. }
                | ErrorKind::DnsResolve { .. }
                | ErrorKind::ProxyConnect { .. }
        ) || self.token_fault().is_some()
            || [
                RETRYABLE_WRITE_ERROR,
                TRANSIENT_TRANSACTION_ERROR,
                UNKNOWN_TRANSACTION_COMMIT_RESULT,
            ]
            .iter()
            .any(|label| self.0.contains_label(label))
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.server_error() {
            return error.fmt(f);
        }
        if let Some(TokenFault(reason)) = self.token_fault() {
            return f.write_str(reason);
        }
        match self.0.kind.as_ref() {
            // Texts of the driver about connections, credentials and itself.
            kind @ (ErrorKind::Authentication { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::SessionsNotSupported
            | ErrorKind::InvalidTlsConfig { .. }
            | ErrorKind::Transaction { .. }
            | ErrorKind::IncompatibleServer { .. }
            | ErrorKind::MissingResumeToken
            | ErrorKind::Shutdown) => kind.fmt(f),
            ErrorKind::ServerSelection { message, .. } => f.write_str(&selection::words(message)),
            ErrorKind::ProxyConnect { message, .. } => {
                f.write_str(&selection::proxy_words(message))
            }
            ErrorKind::Bson(error) => f.write_str(&unreadable(error)),
            ErrorKind::InvalidResponse { .. } => {
                f.write_str("the driver cannot read the server's reply")
            }
            ErrorKind::InvalidArgument { .. } => f.write_str("the driver refuses an argument"),
            _ => f.write_str("the driver failed"),
        }
    }
}

impl fmt::Debug for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The fault of bytes that cannot be read or written as BSON: field and kind. The library's text is
/// left out: it quotes values.
pub fn unreadable(error: &bson::error::Error) -> String {
    use bson::error::ErrorKind as Kind;
    let place = match (&error.key, error.index) {
        (Some(key), _) => format!(" at the field {key}"),
        (None, Some(index)) => format!(" at the array's index {index}"),
        (None, None) => String::new(),
    };
    let fault = match &error.kind {
        Kind::Deserialization { .. } => "it has another shape".to_owned(),
        Kind::EndOfStream { .. } => "it ends too early".to_owned(),
        Kind::MalformedBytes { .. } => "its bytes are malformed".to_owned(),
        Kind::Serialization { .. } => "it cannot be written".to_owned(),
        Kind::Utf8Encoding { .. } => "a text is not UTF-8".to_owned(),
        // The found and the expected type.
        Kind::ValueAccess { kind, .. } => kind.to_string(),
        _ => "a value cannot be read or written".to_owned(),
    };
    format!("a document could not be read or written as BSON{place}: {fault}")
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use serde::Deserialize;

    use super::*;
    use crate::mongo;

    const MARK: &str = "MARK-4711";

    fn shown(error: Error) -> [String; 4] {
        let inner = DriverError::from(error.clone());
        let outer = mongo::Error::from(error);
        [
            format!("{inner} {inner:?}"),
            format!("{outer} {outer:?}"),
            format!("{outer:#?}"),
            format!("{:#}", anyhow::Error::new(outer)),
        ]
    }

    /// Errors that the driver builds from replies.
    #[test]
    fn f45_no_text_of_the_driver_that_quotes_a_reply_is_shown() {
        #[derive(Debug, Deserialize)]
        struct Wanted {
            #[serde(rename = "secret")]
            _secret: i64,
        }
        let unread =
            bson::deserialize_from_document::<Wanted>(doc! { "secret": MARK }).unwrap_err();
        let custom = std::io::Error::other("a connection was cut");
        for error in [
            Error::from(unread.clone()),
            Error::custom(MARK.to_owned()),
            Error::from(custom),
        ] {
            for shown in shown(error) {
                assert!(!shown.contains(MARK) && !shown.is_empty(), "{shown}");
            }
        }
        let error = mongo::Error::from(unread);
        for shown in [
            format!("{error} {error:?}"),
            format!("{:#}", anyhow::Error::new(error)),
        ] {
            assert!(!shown.contains(MARK) && shown.contains("shape"), "{shown}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_told_by_types() {
        let document: Document = doc! { "a": MARK };
        let raw = bson::RawDocumentBuf::try_from(&document).unwrap();
        let error = raw.get_i32("a").unwrap_err();
        let shown = unreadable(&error);
        assert!(
            shown.contains("field a") && !shown.contains(MARK),
            "{shown}"
        );
    }
}
