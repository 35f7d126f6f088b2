//! Entries of the quarantine.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use crate::model::Namespace;

/// Collection `quarantine`: an entry for each document that a plugin could not handle. The document is on the
/// source; releases up to 0.3.0 also stored it here, as `document`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineDocument {
    /// The namespace's id and a digest of the document's `_id`.
    #[serde(rename = "_id")]
    pub id: String,
    pub namespace_id: String,
    pub source: Namespace,
    /// `{_id: value}` of the document on the source.
    pub document_id: RawDocumentBuf,
    pub component: String,
    pub digest: String,
    pub export: String,
    /// The fault of the component.
    pub reason: String,
}
