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

/// Name prefix of the collection that holds the buckets of a time-series collection (server: `kTimeseriesBucketsCollectionPrefix`).
pub const BUCKETS_PREFIX: &str = "system.buckets.";

/// The collection of a database's stored functions.
pub const FUNCTIONS: &str = "system.js";

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

    /// The time-series collection whose buckets this collection holds; `None` for any other collection. It is a
    /// view, and the name that operators and applications use.
    pub fn time_series(&self) -> Option<Self> {
        let name = self.collection.strip_prefix(BUCKETS_PREFIX)?;
        (!name.is_empty()).then(|| Self::new(self.database.as_str(), name))
    }

    /// The collection that holds the buckets of this time-series collection.
    pub fn buckets(&self) -> Self {
        let Self {
            database,
            collection,
        } = self;
        Self::new(database.as_str(), format!("{BUCKETS_PREFIX}{collection}"))
    }

    /// True for the stored functions of a database, which no plugin sees.
    pub fn is_functions(&self) -> bool {
        self.collection == FUNCTIONS
    }

    /// The name for operators: buckets are shown under the name of their time-series collection.
    pub fn shown(&self) -> Self {
        self.time_series().unwrap_or_else(|| self.clone())
    }

    /// True for namespaces that a sync does not take under their own name: system databases, metadata of sync tools,
    /// and `system.` collections. Buckets are synced under the name of their time-series collection.
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
    fn buckets_are_shown_under_the_name_of_their_time_series_collection() {
        let series = Namespace::new("app", "weather");
        assert_eq!(series.buckets().to_string(), "app.system.buckets.weather");
        assert_eq!(series.buckets().time_series(), Some(series.clone()));
        assert_eq!(series.buckets().shown(), series);
        assert_eq!((series.time_series(), series.shown()), (None, series));
        assert_eq!(Namespace::new("app", BUCKETS_PREFIX).time_series(), None);
    }

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
