//! Namespaces (`db.collection`) and their routes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Databases of the server; never synced, and refused in filters.
pub const SYSTEM_DATABASES: [&str; 3] = ["admin", "local", "config"];

/// Name prefixes of databases with metadata of sync tools; never synced.
pub const METADATA_PREFIXES: [&str; 3] = [
    "mongosync_internal_",
    "mongosync_reserved_",
    "__mdb_internal",
];

/// The database of the destination with tidegate's metadata.
pub const METADATA_DATABASE: &str = "mongosync_internal_tidegate";

/// The full name of a collection or a view.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Namespace {
    /// Name of the database.
    pub database: String,
    /// Name of the collection or view, without the database; it can contain dots.
    pub collection: String,
}

impl Namespace {
    /// The namespace `database.collection`.
    pub fn new(database: impl Into<String>, collection: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            collection: collection.into(),
        }
    }

    /// True for namespaces that are never synced: system databases, metadata of sync tools, and `system.`
    /// collections, which change streams do not carry.
    pub fn is_internal(&self) -> bool {
        is_internal_database(&self.database) || self.collection.starts_with("system.")
    }
}

/// True for databases that are never synced.
pub fn is_internal_database(database: &str) -> bool {
    SYSTEM_DATABASES.contains(&database)
        || METADATA_PREFIXES
            .iter()
            .any(|prefix| database.starts_with(prefix))
}

/// A database's name in the form that the server compares. The server refuses a database whose name differs
/// from an existing name only in the case of ASCII letters (code 13297; mongo: `DatabaseHolderImpl::openDb`,
/// `StringData::equalCaseInsensitive`). The case of other letters counts: `é` and `É` are two databases.
pub fn folded_database(database: &str) -> String {
    database.to_ascii_lowercase()
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The answer of a route component for a source namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Not synced.
    Skip,
    /// Synced under its own name.
    Keep,
    /// Synced under another name.
    Rename(Namespace),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_and_metadata_namespaces_are_internal() {
        for (database, collection, internal) in [
            ("admin", "x", true),
            ("mongosync_internal_tidegate", "session", true),
            ("__mdb_internal_x", "y", true),
            ("app", "system.views", true),
            ("app", "system.js", true),
            ("app", "users", false),
            ("administration", "x", false),
        ] {
            assert_eq!(Namespace::new(database, collection).is_internal(), internal);
        }
    }
}
