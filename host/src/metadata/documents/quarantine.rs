//! Entries of the quarantine.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use crate::model::Namespace;

/// Collection `quarantine`: an entry for each document that a plugin could not handle. The document is on the
/// source; releases up to 0.3.0 also stored it here, as `document`. Since release 0.1.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineDocument {
    /// The namespace's id and a digest of the document's `_id`.
    #[serde(rename = "_id")]
    pub id: String,
    /// `_id` of the namespace's document.
    pub namespace_id: String,
    /// Name of the collection on the source.
    pub source: Namespace,
    /// `{_id: value}` of the document on the source.
    pub document_id: RawDocumentBuf,
    /// Name of the component that could not handle the document.
    pub component: String,
    /// Digest of the component: `sha256:` and the hash of its bytes, in hex.
    pub digest: String,
    /// The called function of the plugin contract.
    pub export: String,
    /// The fault of the component.
    pub reason: String,
}
