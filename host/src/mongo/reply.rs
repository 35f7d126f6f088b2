//! Values in replies.

use bson::{Bson, Document, Utf8Lossy};
use mongodb::error::ErrorKind;

use super::Error;

/// The reply to a write. It can quote index keys of refused documents, and the driver takes no reply with a text
/// that is not UTF-8: such are keys under a collation, and strings of some old applications.
pub(super) fn write_reply(
    answer: Result<Document, mongodb::error::Error>,
) -> Result<Document, Error> {
    let reply = answer.as_ref().err().and_then(|error| match *error.kind {
        ErrorKind::Bson(_) => error.server_response(),
        _ => None,
    });
    match reply {
        Some(reply) => Ok(bson::deserialize_from_slice::<Utf8Lossy<Document>>(reply.as_bytes())?.0),
        None => Ok(answer?),
    }
}

/// A whole number. Servers send an int, a long or a double.
pub(super) fn bson_number(document: &Document, name: &str) -> Option<i64> {
    match document.get(name)? {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "server counters are whole numbers below 2^53"
        )]
        Bson::Double(n) => Some(*n as i64),
        _ => None,
    }
}
