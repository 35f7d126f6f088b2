//! The first documents of a collection, and the names of collections, for an author to try a
//! plugin on.

use bson::{RawDocumentBuf, doc};
use futures::TryStreamExt;

use super::connect::{client, refusal};
use crate::model::{Namespace, OperatorError, namespace::is_internal_database};

/// What an error calls the cluster.
const PLACE: &str = "the --in cluster";
const NAMES_PLACE: &str = "the --names cluster";

/// Reads at most `limit` documents, from the primary.
pub async fn first(
    uri: &str,
    namespace: &Namespace,
    limit: usize,
) -> Result<Vec<RawDocumentBuf>, OperatorError> {
    let client = client(PLACE, uri, "tidegate plugin").await?;
    let collection = client
        .database(&namespace.database)
        .collection::<RawDocumentBuf>(&namespace.collection);
    let found = async {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        collection
            .find(doc! {})
            .limit(limit)
            .await?
            .try_collect()
            .await
    };
    found
        .await
        .map_err(|error| refusal(PLACE, &error.into(), ""))
}

/// The collections and views that a sync could touch, of one database or of all, in order.
pub async fn namespaces(
    uri: &str,
    database: Option<&str>,
) -> Result<Vec<Namespace>, OperatorError> {
    let client = client(NAMES_PLACE, uri, "tidegate plugin").await?;
    let listed = async {
        let databases = match database {
            Some(database) => vec![database.to_owned()],
            None => client.list_database_names().await?,
        };
        let mut names = Vec::new();
        for database in databases.iter().filter(|name| !is_internal_database(name)) {
            let mut collections = client.database(database).list_collection_names().await?;
            collections.sort_unstable();
            names.extend(
                collections
                    .into_iter()
                    .map(|name| Namespace::new(database, name)),
            );
        }
        names.retain(|name| !name.is_internal());
        Ok(names)
    };
    listed
        .await
        .map_err(|error| refusal(NAMES_PLACE, &error, ""))
}
