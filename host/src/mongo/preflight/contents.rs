//! Contents of the two clusters. Other data on the destination would be mixed with the copy; data of the
//! source that is left out is named.

use std::collections::BTreeSet;

use bson::rawdoc;

use super::super::{
    Cluster,
    cluster::{PATIENCE, cluster_refusal},
    listing::{databases_within, namespaces_within, user_namespaces_within},
};
use super::privileges::{FUNCTIONS_ON_DESTINATION, FUNCTIONS_ON_SOURCE, fault};
use crate::model::namespace::is_internal_database;
use crate::model::{ErrorName, Namespace, OperatorError};

/// Number of namespaces in a refusal.
const NAMED: usize = 5;

/// The collection that holds a database's stored functions.
const STORED_FUNCTIONS: &str = "system.js";

/// Requires that the destination holds only system collections and metadata of sync tools.
pub(super) async fn require_empty(destination: &Cluster) -> Result<(), OperatorError> {
    let mut found = namespaces(destination).await?;
    found.retain(|namespace| !namespace.is_internal() || namespace.time_series().is_some());
    let shown: BTreeSet<_> = found.iter().map(Namespace::shown).collect();
    let found: Vec<_> = shown.into_iter().collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::DestinationNotEmpty,
        format!(
            "The destination, {}, holds data already: {}. Give an empty cluster, or drop these namespaces if they are \
             not needed.",
            destination.name.as_str(),
            list(&found)
        ),
    ))
}

/// Warnings if the source has stored functions that cannot be synced, and if the destination has any.
pub(super) async fn stored_functions_warnings(
    source: &Cluster,
    destination: &Cluster,
) -> Result<Vec<String>, OperatorError> {
    let mut warnings = Vec::new();
    let functions = stored_functions(source).await?;
    let faults = [
        fault(source, &[FUNCTIONS_ON_SOURCE]).await?,
        fault(destination, &[FUNCTIONS_ON_DESTINATION]).await?,
    ];
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    if !functions.is_empty() && !faults.is_empty() {
        warnings.push(format!(
            "Stored functions are not synced: {}. Grant the roles that docs/preflight.md gives, or copy {} to the \
             destination yourself.",
            faults.join(". "),
            list(&functions)
        ));
    }
    let theirs = stored_functions(destination).await?;
    if !theirs.is_empty() {
        warnings.push(format!(
            "The destination has {}. In databases in scope, commit makes the stored functions equal to the source's.",
            list(&theirs)
        ));
    }
    Ok(warnings)
}

/// The collections of stored functions.
async fn stored_functions(cluster: &Cluster) -> Result<Vec<Namespace>, OperatorError> {
    let mut found = namespaces(cluster).await?;
    found.retain(|namespace| namespace.collection == STORED_FUNCTIONS);
    Ok(found)
}

/// Collections of the server in `config`, in addition to [`OWN_PREFIXES`].
const OWN_CONFIG: [&str; 11] = [
    "analyzeShardKeySplitPoints",
    "changelog",
    "clusterParameters",
    "external_validation_keys",
    "image_collection",
    "queryAnalyzers",
    "rangeDeletions",
    "settings",
    "transactions",
    "user_writes_critical_sections",
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

/// A warning if the source holds data in databases that are never synced.
pub(super) async fn left_out_warning(source: &Cluster) -> Result<Option<String>, OperatorError> {
    let databases = databases_within(&source.client, PATIENCE).await;
    let databases = databases.map_err(|error| cluster_refusal(source, &error))?;
    let mut found = Vec::new();
    // Each member has a `local` database of its own: it is not part of the replica set's data.
    let internal = |name: &&String| is_internal_database(name) && *name != "local";
    for database in databases.iter().filter(internal) {
        // Data that the user may not see is not named: a missing privilege is no reason to refuse a sync.
        let list = rawdoc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true, "cursor": {} };
        let visible = namespaces_within(&source.client.database(database), &list, PATIENCE).await;
        found.extend(visible.unwrap_or_default().into_iter().filter(is_left_out));
    }
    Ok((!found.is_empty()).then(|| {
        format!(
            "The source holds data in databases that are never synced: {}. Copy the data that you need to another \
             database, or to the destination yourself.",
            list(&found)
        )
    }))
}

/// True for data of an operator or of another tool; false for data of the server.
fn is_left_out(namespace: &Namespace) -> bool {
    let name = namespace.collection.as_str();
    let is_own = namespace.database == "config"
        && (OWN_CONFIG.contains(&name)
            || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    !is_own && !name.starts_with("system.")
}

/// The first namespaces, and the number of further namespaces.
fn list(found: &[Namespace]) -> String {
    let names: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &more
}

/// All collections and views of the user databases.
async fn namespaces(cluster: &Cluster) -> Result<Vec<Namespace>, OperatorError> {
    user_namespaces_within(&cluster.client, PATIENCE)
        .await
        .map_err(|error| cluster_refusal(cluster, &error))
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
