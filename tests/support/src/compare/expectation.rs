//! What the destination is expected to hold of a source.

use anyhow::Result;

/// A document as it is expected on the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Byte for byte as on the source.
    Same,
    Absent,
    Changed(Vec<u8>),
}

/// Which namespaces are expected under which names, and what becomes of their
/// documents. A closure over database and collection is one that expects
/// everything it takes as it is.
pub trait Expectation: Send + Sync {
    /// The database and collection on the destination; `None` for what is not to be there.
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)>;

    fn document(&self, _database: &str, _collection: &str, _document: &[u8]) -> Result<Expected> {
        Ok(Expected::Same)
    }
}

impl<F: Fn(&str, &str) -> bool + Send + Sync> Expectation for F {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        self(database, collection).then(|| (database.to_owned(), collection.to_owned()))
    }
}
