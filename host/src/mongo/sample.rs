//! The first documents of a collection, for an author to try a plugin on.

use bson::{RawDocumentBuf, doc};
use futures::TryStreamExt;

use super::connect::{client, refusal};
use crate::model::{Namespace, OperatorError};

/// What an error calls the cluster.
const PLACE: &str = "the --in cluster";

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
    found.await.map_err(|error| refusal(PLACE, &error, ""))
}
