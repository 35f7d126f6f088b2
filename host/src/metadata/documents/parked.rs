//! Parked keys: documents that change while their partition is in work.

use bson::{RawDocument, RawDocumentBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::ClusterTime;

/// Collection `parkedKeys`: keys whose events were passed while their partition was in work. They are looked up on
/// the source when the partition is done. Since metadata version 4.
///
/// Invariant: a parked key is persisted in one transaction with the position that passes its event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKeyDocument {
    /// See [`ParkedKeyDocument::id_of`].
    #[serde(rename = "_id")]
    pub id: String,
    /// `_id` of the namespace's document.
    pub namespace_id: String,
    /// `{_id: value}` of the document on the source.
    pub document_id: RawDocumentBuf,
    /// The source's cluster time of the key's newest event.
    pub cluster_time: ClusterTime,
    /// Number of the key's first event, for capped collections: their documents keep the order of insertion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
}

impl ParkedKeyDocument {
    /// The id of a parked key: the partition's id, `:`, and a digest of `{_id: value}` in hex.
    pub fn id_of(partition_id: &str, document_id: &RawDocument) -> String {
        let digest = Sha256::digest(document_id.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{partition_id}:{hex}")
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc, serialize_to_document};

    use super::*;

    /// The fields of version 4, which are never renamed.
    #[test]
    fn a_parked_key_keeps_its_shape() {
        let document_id = rawdoc! { "_id": 7_i64 };
        let mut key = ParkedKeyDocument {
            id: ParkedKeyDocument::id_of("aa:3", &document_id),
            namespace_id: "aa".to_owned(),
            document_id,
            cluster_time: ClusterTime {
                seconds: 5,
                increment: 1,
            },
            order: None,
        };
        assert_eq!(key.id.len(), "aa:3:".len() + 64);
        assert!(key.id.as_str() > "aa:3:" && key.id.as_str() < "aa:3;");
        let mut expected = doc! {
            "_id": &key.id, "namespaceId": "aa", "documentId": { "_id": 7_i64 },
            "clusterTime": bson::Timestamp { time: 5, increment: 1 },
        };
        assert_eq!(serialize_to_document(&key).unwrap(), expected);
        key.order = Some(2);
        expected.insert("order", 2_i64);
        assert_eq!(serialize_to_document(&key).unwrap(), expected);
    }
}
