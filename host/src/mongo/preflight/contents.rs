//! What the two clusters hold: the destination no data of anybody else, which
//! would be mixed with what is copied; the source nothing that is left out in
//! silence.

use bson::rawdoc;

use super::super::{
    Cluster,
    cluster::{PATIENCE, refused},
    listing::{databases_within, namespaces_within, user_namespaces_within},
};
use crate::model::namespace::is_internal_database;
use crate::model::{ErrorName, Namespace, OperatorError};

/// How many namespaces a refusal names.
const NAMED: usize = 5;

/// The collection that holds a database's stored functions.
const STORED_FUNCTIONS: &str = "system.js";

/// Requires that the destination holds nothing but system collections and the
/// metadata of sync tools.
pub(super) async fn require_empty(destination: &Cluster) -> Result<(), OperatorError> {
    let mut found = namespaces(destination).await?;
    found.retain(|namespace| !namespace.is_internal());
    if found.is_empty() {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::DestinationNotEmpty,
        format!(
            "The destination, {}, holds data already: {}. Give an empty cluster; or drop these, if nobody needs \
             them.",
            destination.name.as_str(),
            list(&found)
        ),
    ))
}

/// A sentence for the operator if the source has stored functions.
pub(super) async fn stored_functions_warning(
    source: &Cluster,
) -> Result<Option<String>, OperatorError> {
    let mut found = namespaces(source).await?;
    found.retain(|namespace| namespace.collection == STORED_FUNCTIONS);
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    Ok((!names.is_empty()).then(|| {
        format!(
            "Stored functions are not synced, as change streams do not carry them: copy {} to the \
             destination yourself.",
            names.join(", ")
        )
    }))
}

/// Collections that a server keeps in `config` for itself, beside those of [`OWN_PREFIXES`].
const OWN_CONFIG: [&str; 10] = [
    "analyzeShardKeySplitPoints",
    "changelog",
    "clusterParameters",
    "external_validation_keys",
    "image_collection",
    "queryAnalyzers",
    "rangeDeletions",
    "settings",
    "transactions",
    "vectorClock",
];
const OWN_PREFIXES: [&str; 6] = [
    "cache.",
    "localResharding",
    "migration",
    "sampledQueries",
    "shard",
    "tenant",
];

/// A sentence for the operator if the source holds data in databases that are never synced.
pub(super) async fn left_out_warning(source: &Cluster) -> Result<Option<String>, OperatorError> {
    let databases = databases_within(&source.client, PATIENCE).await;
    let databases = databases.map_err(|error| refused(source, &error))?;
    let mut found = Vec::new();
    // `local` is each member's own, and no replica set has it in common.
    let internal = |name: &&String| is_internal_database(name) && *name != "local";
    for database in databases.iter().filter(internal) {
        // What the user may not see is not told: that is no reason to refuse a sync.
        let list = rawdoc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true, "cursor": {} };
        let visible = namespaces_within(&source.client.database(database), &list, PATIENCE).await;
        found.extend(visible.unwrap_or_default().into_iter().filter(is_left_out));
    }
    Ok((!found.is_empty()).then(|| {
        format!(
            "The source holds data in databases that are never synced: {}. Copy what you need of it to another \
             database, or to the destination yourself.",
            list(&found)
        )
    }))
}

/// True for data of an operator or of another tool, not of the server's own.
fn is_left_out(namespace: &Namespace) -> bool {
    let name = namespace.collection.as_str();
    let is_own = namespace.database == "config"
        && (OWN_CONFIG.contains(&name)
            || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    !is_own && !name.starts_with("system.")
}

/// The first namespaces by name, and how many more there are.
fn list(found: &[Namespace]) -> String {
    let names: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &more
}

/// Every collection and view of the user databases.
async fn namespaces(cluster: &Cluster) -> Result<Vec<Namespace>, OperatorError> {
    user_namespaces_within(&cluster.client, PATIENCE)
        .await
        .map_err(|error| refused(cluster, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f41_data_is_told_from_what_a_server_keeps() {
        for (database, collection, told) in [
            ("admin", "reports", true),
            ("admin", "system.users", false),
            ("config", "transactions", false),
            ("config", "cache.chunks.a.b", false),
            ("config", "tenantMigrationDonors", false),
            ("config", "mine", true),
            ("mongosync_internal_other", "session", true),
        ] {
            let namespace = Namespace::new(database, collection);
            assert_eq!(is_left_out(&namespace), told, "{namespace}");
        }
    }
}
