//! Changes of small documents that are keyed by string ids.

use bson::{Document, RawDocumentBuf};

/// One change of a transaction. Every one can be repeated.
#[derive(Clone, Debug)]
pub enum Change {
    /// The document with this id, whether or not there was one.
    Put {
        collection: &'static str,
        id: String,
        document: RawDocumentBuf,
    },
    /// Documents that are not there yet.
    Insert {
        collection: String,
        documents: Vec<RawDocumentBuf>,
    },
    /// All that match.
    Remove {
        collection: String,
        filter: Document,
    },
    /// A command on another database that takes part in the transaction, such as `create`.
    Command {
        database: String,
        body: RawDocumentBuf,
    },
}
