//! Namespaces (`db.collection`) and what a route component answers for one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Databases the server keeps for itself; never synced, and refused in filters.
pub const SYSTEM_DATABASES: [&str; 3] = ["admin", "local", "config"];

/// Name prefixes of databases that hold a sync tool's own metadata; never synced.
pub const METADATA_PREFIXES: [&str; 3] = [
    "mongosync_internal_",
    "mongosync_reserved_",
    "__mdb_internal",
];

/// The database on the destination that holds tidegate's metadata.
pub const METADATA_DATABASE: &str = "mongosync_internal_tidegate";

/// A collection's or view's full name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Namespace {
    pub database: String,
    pub collection: String,
}

impl Namespace {
    pub fn new(database: impl Into<String>, collection: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            collection: collection.into(),
        }
    }

    /// True for what no sync ever touches: system databases, metadata of sync
    /// tools, and `system.` collections, which change streams do not carry.
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

/// A database's name as a server compares it: it takes no two databases whose names differ in the case
/// of ASCII letters alone. Others count: `é` and `É` are two databases.
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

/// What a route component answers for one source namespace.
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
