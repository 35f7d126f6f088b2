//! The destination must hold no data of anybody else: what is there already
//! would be mixed with what is copied.

use bson::{Document, doc};
use futures::TryStreamExt as _;

use super::super::Cluster;
use super::super::connect::refused;
use crate::model::namespace::is_internal_database;
use crate::model::{ErrorName, Namespace, OperatorError};

/// How many namespaces a refusal names.
const NAMED: usize = 5;

/// Requires that the destination holds nothing but system collections and the
/// metadata of sync tools.
pub(super) async fn require_empty(destination: &Cluster) -> Result<(), OperatorError> {
    let found = namespaces(destination)
        .await
        .map_err(|error| refused(destination, &error))?;
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

async fn namespaces(cluster: &Cluster) -> Result<Vec<Namespace>, mongodb::error::Error> {
    let mut found = Vec::new();
    for database in user_databases(cluster).await? {
        let mut collections = cluster
            .client
            .database(&database)
            .run_cursor_command(doc! { "listCollections": 1, "nameOnly": true })
            .await?;
        while let Some(collection) = collections.try_next().await? {
            let namespace = Namespace::new(&database, name(&collection));
            if !namespace.is_internal() {
                found.push(namespace);
            }
        }
    }
    Ok(found)
}

fn name(collection: &Document) -> &str {
    collection.get_str("name").unwrap_or_default()
}

/// The databases that a sync is about.
pub(super) async fn user_databases(
    cluster: &Cluster,
) -> Result<Vec<String>, mongodb::error::Error> {
    let mut databases = cluster.client.list_database_names().await?;
    databases.retain(|database| !is_internal_database(database));
    Ok(databases)
}
