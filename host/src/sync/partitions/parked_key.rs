//! Keys of events that wait until their partition is done.

use sha2::{Digest, Sha256};

use crate::{
    metadata::ParkedKeyDocument,
    model::{
        ClusterTime,
        document_key::DocumentKey,
        raw::{self, Writer},
    },
    mongo,
    sync::Error,
};

/// The key of a document whose events wait.
#[derive(Clone, Debug)]
pub(crate) struct ParkedKey {
    /// The BSON type of its `_id`.
    pub(crate) id_kind: u8,
    /// The bytes of its `_id`.
    pub(crate) id: Box<[u8]>,
    /// The time of its newest event.
    pub(crate) time: ClusterTime,
    /// Its place among the keys of a capped collection.
    pub(crate) order: Option<i64>,
}

impl ParkedKey {
    /// A persisted key.
    pub(crate) fn of_document(document: &ParkedKeyDocument) -> Result<Self, Error> {
        let id = raw::find(document.document_id.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
        Ok(Self {
            id_kind: id.kind,
            id: id.value.into(),
            time: document.cluster_time,
            order: document.order,
        })
    }

    /// The key as its partition persists it.
    pub(crate) fn document(
        &self,
        namespace_id: &str,
        partition_id: &str,
    ) -> Result<ParkedKeyDocument, Error> {
        let mut writer = Writer::continuing(bson::RawDocumentBuf::new().into_bytes());
        writer.value(self.id_kind, b"_id", &self.id);
        let document_id = bson::RawDocumentBuf::from_bytes(writer.finish());
        Ok(ParkedKeyDocument {
            id: self.document_id(partition_id),
            namespace_id: namespace_id.to_owned(),
            document_id: document_id.map_err(mongo::Error::Bson)?,
            cluster_time: self.time,
            order: self.order,
        })
    }

    /// The `_id` of the persisted key.
    pub(crate) fn document_id(&self, partition_id: &str) -> String {
        let key = DocumentKey::new(self.id_kind, &self.id).to_bytes();
        let digest = Sha256::digest(key);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{partition_id}:{hex}")
    }
}
