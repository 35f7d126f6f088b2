//! `tidegate metadata export`: every document, one a line, as canonical Extended JSON.

use std::io::Write;

use bson::{Bson, Document, doc};
use serde_json::json;

use super::{Ended, Metadata, operator};

/// Collections and documents are in the order of their names and `_id`s, so that two exports
/// of the same metadata are the same.
pub(super) async fn export(metadata: &Metadata, out: &mut impl Write) -> anyhow::Result<Ended> {
    let documents = &metadata.documents;
    for collection in documents.collections().await.map_err(operator)? {
        let found: Vec<Document> = documents
            .page(&collection, doc! {}, doc! {}, None)
            .await
            .map_err(operator)?;
        for document in found {
            let document = Bson::Document(document).into_canonical_extjson();
            let line = json!({ "collection": collection, "document": document });
            writeln!(out, "{line}")?;
        }
    }
    Ok(Ended::Well)
}
