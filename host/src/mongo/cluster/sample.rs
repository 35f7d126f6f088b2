//! The first documents of a collection, and names of collections: samples for authors of plugins.

use bson::{RawDocumentBuf, doc, rawdoc};
use futures::{StreamExt, TryStreamExt};
use mongodb::Cursor;

use super::{
    super::errors::refusal,
    connection::{PATIENCE, client},
    listing::{namespaces_within, user_namespaces_within},
};
use crate::model::{Namespace, OperatorError, namespace::is_internal_database};

/// Names of the clusters in errors.
const PLACE: &str = "the --in cluster";
const NAMES_PLACE: &str = "the --names cluster";

/// The documents of a collection, read part by part from the primary.
pub struct Sample {
    cursor: Cursor<RawDocumentBuf>,
}

impl Sample {
    /// Finds at most `limit` documents.
    pub async fn find(
        uri: &str,
        namespace: &Namespace,
        limit: usize,
    ) -> Result<Self, OperatorError> {
        let client = client(PLACE, uri, "tidegate plugin").await?;
        let collection = client
            .driver()
            .database(&namespace.database)
            .collection::<RawDocumentBuf>(&namespace.collection);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let cursor = collection.find(doc! {}).limit(limit).await;
        let cursor = cursor.map_err(|error| refusal(PLACE, &error.into(), ""))?;
        Ok(Self { cursor })
    }

    /// The next documents, `count` at most; none at the end.
    pub async fn next(&mut self, count: usize) -> Result<Vec<RawDocumentBuf>, OperatorError> {
        let part = self.cursor.by_ref().take(count).try_collect().await;
        part.map_err(|error: mongodb::error::Error| refusal(PLACE, &error.into(), ""))
    }
}

/// Reads at most `limit` documents.
pub async fn first(
    uri: &str,
    namespace: &Namespace,
    limit: usize,
) -> Result<Vec<RawDocumentBuf>, OperatorError> {
    let mut sample = Sample::find(uri, namespace, limit).await?;
    sample.next(limit).await
}

/// Collections and views that a sync could touch, of a database or of all databases, sorted.
pub async fn namespaces(
    uri: &str,
    database: Option<&str>,
) -> Result<Vec<Namespace>, OperatorError> {
    let client = client(NAMES_PLACE, uri, "tidegate plugin").await?;
    let listed = match database {
        None => user_namespaces_within(&client, PATIENCE).await,
        Some(database) if is_internal_database(database) => Ok(Vec::new()),
        Some(database) => {
            let list = rawdoc! { "listCollections": 1, "nameOnly": true, "cursor": {} };
            namespaces_within(&client.database(database), &list, PATIENCE).await
        }
    };
    let mut namespaces = listed.map_err(|error| refusal(NAMES_PLACE, &error, ""))?;
    namespaces.retain(|namespace| !namespace.is_internal());
    namespaces.sort_unstable();
    Ok(namespaces)
}
