//! Changes of documents with string `_id`s.

use bson::{Document, RawDocumentBuf};

/// A change in a transaction. All are idempotent.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes the document with this id, in place of an existing document.
    Put {
        collection: &'static str,
        id: String,
        document: RawDocumentBuf,
    },
    /// Inserts documents.
    Insert {
        collection: String,
        documents: Vec<RawDocumentBuf>,
    },
    /// Deletes all documents that match.
    Remove {
        collection: String,
        filter: Document,
    },
    /// Runs a command in the transaction, possibly on another database, such as `create`.
    Command {
        database: String,
        body: RawDocumentBuf,
    },
}
