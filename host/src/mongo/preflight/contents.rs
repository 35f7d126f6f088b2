//! What the two clusters hold: the destination no data of anybody else, which
//! would be mixed with what is copied; the source nothing that is left out in
//! silence.

use bson::doc;
use futures::TryStreamExt as _;

use super::super::connect::refused;
use super::super::{Cluster, Error};
use crate::model::namespace::is_internal_database;
use crate::model::{ErrorName, Namespace, OperatorError};

/// How many namespaces a refusal names.
const NAMED: usize = 5;

/// The collection that holds a database's stored functions.
const STORED_FUNCTIONS: &str = "system.js";

/// Requires that the destination holds nothing but system collections and the
/// metadata of sync tools.
pub(super) async fn require_empty(destination: &Cluster) -> Result<(), OperatorError> {
    let mut found = namespaces(destination)
        .await
        .map_err(|error| refused(destination, &error))?;
    found.retain(|namespace| !namespace.is_internal());
    if found.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(OperatorError::new(
        ErrorName::DestinationNotEmpty,
        format!(
            "The destination, {}, holds data already: {}{more}. Drop these, or give an empty \
             cluster.",
            destination.name.as_str(),
            names.join(", ")
        ),
    ))
}

/// A sentence for the operator if the source has stored functions.
pub(super) async fn stored_functions_warning(
    source: &Cluster,
) -> Result<Option<String>, OperatorError> {
    let mut found = namespaces(source)
        .await
        .map_err(|error| refused(source, &error))?;
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

/// Every collection and view of the databases that a sync is about.
async fn namespaces(cluster: &Cluster) -> Result<Vec<Namespace>, Error> {
    let mut found = Vec::new();
    for database in user_databases(cluster).await? {
        let mut collections = cluster
            .client
            .database(&database)
            .run_cursor_command(doc! { "listCollections": 1, "nameOnly": true })
            .await?;
        while let Some(collection) = collections.try_next().await? {
            let name = collection.get_str("name").unwrap_or_default();
            found.push(Namespace::new(&database, name));
        }
    }
    Ok(found)
}

/// The databases that a sync is about.
pub(super) async fn user_databases(cluster: &Cluster) -> Result<Vec<String>, Error> {
    let mut databases = cluster.client.list_database_names().await?;
    databases.retain(|database| !is_internal_database(database));
    Ok(databases)
}
