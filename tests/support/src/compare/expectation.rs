//! The expected contents of a destination for a source.

use anyhow::Result;

/// A document as it is expected on the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Byte for byte as on the source.
    Same,
    Absent,
    Changed(Vec<u8>),
}

/// The expected names of namespaces, and the expected results of their documents. A closure over database and
/// collection is an expectation that accepts documents unchanged.
pub trait Expectation: Send + Sync {
    /// The database and collection on the destination; `None` for a namespace that must be missing there.
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
