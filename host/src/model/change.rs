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
}

/// The document that has to be there for a transaction to be committed.
#[derive(Clone, Debug)]
pub struct Guard {
    pub collection: &'static str,
    pub filter: Document,
}

impl Change {
    pub fn collection(&self) -> &str {
        match self {
            Self::Put { collection, .. } => collection,
            Self::Insert { collection, .. } | Self::Remove { collection, .. } => collection,
        }
    }
}
