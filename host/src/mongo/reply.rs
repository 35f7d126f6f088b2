//! Values in replies.

use bson::{Bson, Document};

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
