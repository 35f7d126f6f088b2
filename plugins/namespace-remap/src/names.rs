//! The server's rules for the names of databases and collections.
//!
//! Each function returns the reason why a name is invalid, or `None`.

/// Databases that are never synced, by name or prefix.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "local", "config"];
const METADATA_PREFIXES: [&str; 3] = [
    "mongosync_internal_",
    "mongosync_reserved_",
    "__mdb_internal",
];

/// The maximum length of a database's name, in bytes.
const DATABASE_LIMIT: usize = 63;

/// The maximum length of `database.collection`, in bytes.
const NAMESPACE_LIMIT: usize = 255;

pub(crate) fn database_fault(name: &str) -> Option<String> {
    let system = |known: &&str| name.eq_ignore_ascii_case(known);
    if name.is_empty() {
        Some("the name is empty".to_owned())
    } else if SYSTEM_DATABASES.iter().any(system) {
        Some(format!(
            "`{name}` is a system database, which is never synced"
        ))
    } else if METADATA_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        Some(format!(
            "`{name}` holds a sync tool's metadata, which is never synced"
        ))
    } else if name.len() > DATABASE_LIMIT {
        Some(format!(
            "`{name}` has {} bytes; a database's name has {DATABASE_LIMIT} at most",
            name.len()
        ))
    } else {
        forbidden(name, &['/', '\\', '.', ' ', '"', '$', '\0'])
    }
}

pub(crate) fn collection_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("the name is empty".to_owned())
    } else if name.starts_with("system.") {
        Some(format!(
            "`{name}` is a system collection, which is never synced"
        ))
    } else if name.starts_with('.') {
        Some(format!("`{name}` begins with a dot"))
    } else if name.contains(".system.") {
        Some(format!("`{name}` holds `.system.`"))
    } else {
        forbidden(name, &['$', '\0'])
    }
}

pub(crate) fn too_long(database: &str, collection: &str) -> Option<String> {
    let bytes = database.len() + 1 + collection.len();
    (bytes > NAMESPACE_LIMIT).then(|| {
        format!(
            "`database.collection` would have {bytes} bytes; the server takes {NAMESPACE_LIMIT}"
        )
    })
}

fn forbidden(name: &str, characters: &[char]) -> Option<String> {
    let found = name.chars().find(|found| characters.contains(found))?;
    Some(format!("`{}` holds {found:?}", name.escape_default()))
}
