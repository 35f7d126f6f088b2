//! Documents that a plugin could not handle, put aside.

use bson::doc;
use serde::Deserialize;

use super::{
    documents::QuarantineDocument,
    store::{QUARANTINE, Reader, Storage, Store, remove},
};

/// What is kept in memory of a quarantined document.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedId {
    #[serde(rename = "_id")]
    pub id: String,
    pub namespace_id: String,
}

impl<S: Storage> Reader<S> {
    pub async fn quarantined_ids(&self) -> Result<Vec<QuarantinedId>, S::Error> {
        self.storage
            .page(
                QUARANTINE,
                doc! {},
                doc! { "_id": 1, "namespaceId": 1 },
                None,
            )
            .await
    }

    /// Quarantined documents behind `after`, without their contents.
    pub async fn quarantined(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<QuarantineDocument>, S::Error> {
        self.storage
            .page(
                QUARANTINE,
                doc! { "_id": { "$gt": after } },
                doc! { "document": 0 },
                Some(limit),
            )
            .await
    }
}

impl<S: Storage> Store<S> {
    /// Puts entries of different ids, in one transaction, in place of those that are there.
    pub async fn put_quarantined(&self, entries: &[QuarantineDocument]) -> Result<(), S::Error> {
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let earlier = remove(QUARANTINE, doc! { "_id": { "$in": ids } });
        let changes = vec![earlier, self.insert(QUARANTINE, entries)?];
        self.commit(changes).await
    }

    /// Takes away all entries of a namespace.
    pub async fn remove_quarantined_of(&self, namespace_id: &str) -> Result<(), S::Error> {
        let all = remove(QUARANTINE, doc! { "namespaceId": namespace_id });
        self.commit(vec![all]).await
    }

    pub async fn remove_quarantined(&self, ids: &[String]) -> Result<(), S::Error> {
        self.commit(vec![remove(QUARANTINE, doc! { "_id": { "$in": ids } })])
            .await
    }
}
