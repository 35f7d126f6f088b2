//! Indexes as a cluster lists them.

use bson::RawDocumentBuf;

use crate::mongo::{self, Database, listing};

/// The indexes of a collection without the index on `_id`, sorted by name.
pub(crate) async fn secondary_indexes(
    database: &Database,
    collection: &str,
) -> Result<Vec<RawDocumentBuf>, mongo::Error> {
    let mut indexes = listing::indexes(database, collection).await?;
    // The key of a clustered collection is listed as an index too, and `create` makes it.
    indexes.retain(|index| {
        index.get_str("name").ok() != Some("_id_")
            && !index.get_bool("clustered").unwrap_or(false)
            && listing::subdocument(index, "key").is_some()
    });
    indexes.sort_by(|a, b| a.get_str("name").ok().cmp(&b.get_str("name").ok()));
    Ok(indexes)
}
