//! Changes of documents with string `_id`s.

use bson::{Document, RawDocumentBuf};

/// A change in a transaction. All are idempotent.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes the document with this id, in place of an existing document.
    Put {
        /// A collection of the metadata database.
        collection: &'static str,
        /// The `_id`.
        id: String,
        /// The whole document, `_id` included.
        document: RawDocumentBuf,
    },
    /// Inserts documents.
    Insert {
        /// A collection of the metadata database.
        collection: String,
        /// New documents, with their `_id`s. An empty list changes nothing.
        documents: Vec<RawDocumentBuf>,
    },
    /// Deletes all documents that match.
    Remove {
        /// A collection of the metadata database.
        collection: String,
        /// A query filter (manual: `delete`, field `q`).
        filter: Document,
    },
    /// Runs a command in the transaction, possibly on another database, such as `create`.
    Command {
        /// Name of the database that runs the command.
        database: String,
        /// The command, without the fields of a transaction: the driver adds them.
        body: RawDocumentBuf,
    },
}
