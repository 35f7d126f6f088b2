//! A server's error, without a text that can quote documents.
//!
//! Servers quote documents in their errors: `Can't extract geo keys: {whole document}`, `dup key: { a: 1 }`,
//! `not authorized … to execute command { insert: …, documents: […] }`. So the text is dropped where a
//! reply is read, and the meaning of the code is told in tidegate's words.
//!
//! Invariant: a [`ServerError`] holds a text of the server only for the codes of [`WITH_TEXT`].

use std::fmt;

use super::{code, meaning::meaning};

/// Codes whose texts tell names, times and states, and never quote a document, a statement or a query
/// (mongo: `src/mongo/base/error_codes.yml`). Aborted index builds (276) are left out: their text
/// continues with the cause.
const WITH_TEXT: [i32; 57] = [
    code::HOST_UNREACHABLE,
    code::HOST_NOT_FOUND,
    code::USER_NOT_FOUND,
    code::UNAUTHORIZED,
    code::AUTHENTICATION_FAILED,
    code::LOCK_TIMEOUT,
    code::NAMESPACE_NOT_FOUND,
    code::INDEX_NOT_FOUND,
    code::CURSOR_NOT_FOUND,
    code::LOCK_BUSY,
    code::NAMESPACE_EXISTS,
    code::MAX_TIME_MS_EXPIRED,
    code::COMMAND_NOT_FOUND,
    code::WRITE_CONCERN_TIMEOUT,
    code::INDEX_ALREADY_EXISTS,
    code::INVALID_OPTIONS,
    code::INVALID_NAMESPACE,
    code::UNKNOWN_REPL_WRITE_CONCERN,
    code::INDEX_OPTIONS_CONFLICT,
    code::INDEX_KEY_SPECS_CONFLICT,
    code::NETWORK_TIMEOUT,
    code::SHUTDOWN_IN_PROGRESS,
    code::NOT_YET_INITIALIZED,
    code::UNSATISFIABLE_WRITE_CONCERN,
    code::WRITE_CONFLICT,
    code::COMMAND_NOT_SUPPORTED,
    code::FAILED_TO_SATISFY_READ_PREFERENCE,
    code::READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET,
    code::CAPPED_POSITION_LOST,
    code::COMMAND_NOT_SUPPORTED_ON_VIEW,
    code::QUERY_PLAN_KILLED,
    code::PRIMARY_STEPPED_DOWN,
    code::INVALID_INDEX_SPECIFICATION_OPTION,
    code::NETWORK_INTERFACE_EXCEEDED_TIME_LIMIT,
    code::TRANSACTION_TOO_OLD,
    code::RETRY_CHANGE_STREAM,
    code::CURSOR_KILLED,
    code::NOT_IMPLEMENTED,
    code::SNAPSHOT_TOO_OLD,
    code::SNAPSHOT_UNAVAILABLE,
    code::NO_SUCH_TRANSACTION,
    code::EXCEEDED_TIME_LIMIT,
    code::CHANGE_STREAM_HISTORY_LOST,
    code::TRANSACTION_EXCEEDED_LIFETIME_LIMIT_SECONDS,
    code::OBJECT_IS_BUSY,
    code::COLLECTION_UUID_MISMATCH,
    code::TEMPORARILY_UNAVAILABLE,
    code::ATLAS_ERROR,
    code::SOCKET_EXCEPTION,
    code::NOT_WRITABLE_PRIMARY,
    code::INTERRUPTED_AT_SHUTDOWN,
    code::INTERRUPTED_DUE_TO_REPL_STATE_CHANGE,
    code::DATABASE_DIFFER_CASE,
    code::NOT_PRIMARY_NO_SECONDARY_OK,
    code::NOT_PRIMARY_OR_SECONDARY,
    code::OUT_OF_DISK_SPACE,
    code::IDL_UNKNOWN_FIELD,
];

/// Limit of a text, in characters.
const TEXT_CHARS: usize = 500;

/// The error of a reply, or of a part of a reply.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The `code` of the reply (mongo: `src/mongo/base/error_codes.yml`).
    pub code: i32,
    /// The server's name of the code; empty if the reply has none.
    name: String,
    /// The server's text, if it cannot quote a document.
    text: Option<String>,
}

impl ServerError {
    /// An error with the values of a reply.
    pub(in crate::mongo) fn new(code: i32, name: &str, text: &str) -> Self {
        let is_name = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Self {
            code,
            name: if is_name {
                name.to_owned()
            } else {
                String::new()
            },
            text: allowed(code, text),
        }
    }

    /// The error of a collection whose name belongs to another UUID, in the server's form, for checks that
    /// this host makes itself.
    pub fn another_name(collection: &impl fmt::Display) -> Self {
        Self::new(
            code::COLLECTION_UUID_MISMATCH,
            "CollectionUUIDMismatch",
            &format!("the collection of {collection} has another name"),
        )
    }

    /// The existing database in the server's text `already have: [App] trying to create [app]`.
    pub(super) fn conflicting_database(&self) -> Option<&str> {
        if self.code != code::DATABASE_DIFFER_CASE {
            return None;
        }
        let (_, rest) = self.text.as_deref()?.split_once("already have: [")?;
        Some(rest.split_once(']')?.0)
    }

    fn name(&self) -> &str {
        match meaning(self.code) {
            Some((name, _)) if self.name.is_empty() => name,
            _ => &self.name,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match (&self.text, meaning(self.code)) {
            (Some(text), _) => text,
            (None, Some((_, meaning))) => meaning,
            (None, None) => "the server's text is left out, since it may quote a document",
        };
        match self.name() {
            "" => write!(f, "{said} (code {})", self.code),
            name => write!(f, "{said} (code {}, {name})", self.code),
        }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The part of the server's text that may be shown.
fn allowed(code: i32, text: &str) -> Option<String> {
    if text.is_empty() || !WITH_TEXT.contains(&code) {
        return None;
    }
    let shown = match code {
        // The text continues with the whole command:
        // `not authorized on app to execute command { insert: "users", documents: […`
        code::UNAUTHORIZED => text.split(':').next().unwrap_or_default().replace("{ ", ""),
        _ => text.to_owned(),
    };
    Some(shown.chars().take(TEXT_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "MARK-4711";

    /// Texts of servers 6.0 to 8.0, with a mark where they quote a document.
    #[test]
    fn f45_no_text_of_a_server_that_quotes_a_document_is_kept() {
        let quoting = [
            (
                11000,
                "DuplicateKey",
                "E11000 duplicate key error collection: a.b index: c_1 dup key: { c: \"MARK-4711\" }",
            ),
            (
                16755,
                "Location16755",
                "Can't extract geo keys: { _id: 1, secret: \"MARK-4711\" }  Point must be an array",
            ),
            (
                121,
                "DocumentValidationFailure",
                "Document failed validation MARK-4711",
            ),
            (
                13,
                "Unauthorized",
                "not authorized on app to execute command { insert: \"c\", documents: [ { a: \"MARK-4711\" } ] }",
            ),
            (
                17419,
                "Location17419",
                "Resulting document after update is larger than 16777216 MARK-4711",
            ),
            (
                276,
                "IndexBuildAborted",
                "Index build aborted: x: caused by Can't extract geo keys: MARK-4711",
            ),
            (
                291,
                "NoQueryExecutionPlans",
                "error processing query: ns=a.b Tree: _id $eq \"MARK-4711\"",
            ),
            (2, "BadValue", "Invalid value MARK-4711"),
            (99_999, "MARK 4711 MARK-4711", "MARK-4711"),
        ];
        for (code, name, text) in quoting {
            let error = ServerError::new(code, name, text);
            for shown in [
                format!("{error}"),
                format!("{error:?}"),
                format!("{error:#?}"),
            ] {
                assert!(!shown.contains(MARK), "{shown}");
                assert!(shown.contains(&code.to_string()), "{shown}");
            }
            assert!(!error.text.unwrap_or_default().contains(MARK));
        }
    }

    #[test]
    fn a_refusal_is_told_in_words_with_its_code_and_its_name() {
        for (error, shown) in [
            (
                ServerError::new(11000, "", "E11000 …"),
                "two documents have the same key in a unique index (code 11000, DuplicateKey)",
            ),
            (
                ServerError::new(
                    13,
                    "Unauthorized",
                    "not authorized on app to execute command { insert: \"c\" }",
                ),
                "not authorized on app to execute command insert (code 13, Unauthorized)",
            ),
            (
                ServerError::new(189, "PrimarySteppedDown", "stepped down"),
                "stepped down (code 189, PrimarySteppedDown)",
            ),
            (
                ServerError::new(4711, "", "anything"),
                "the server's text is left out, since it may quote a document (code 4711)",
            ),
        ] {
            assert_eq!(error.to_string(), shown);
        }
    }

    #[test]
    fn the_conflicting_database_is_read_from_the_refusal() {
        let text =
            "db already exists with different case already have: [App] trying to create [app]";
        let refusal = |code, text| ServerError::new(code, "", text);
        let conflicting = |code, text| {
            refusal(code, text)
                .conflicting_database()
                .map(str::to_owned)
        };
        assert_eq!(
            conflicting(code::DATABASE_DIFFER_CASE, text),
            Some("App".to_owned())
        );
        assert_eq!(
            conflicting(code::DATABASE_DIFFER_CASE, "db already exists"),
            None
        );
        assert_eq!(conflicting(code::DUPLICATE_KEY, text), None);
    }
}
