//! Records of calls, bounded to the newest.

use bson::{Document, doc};

use super::{
    collections::AUDIT,
    documents::AuditDocument,
    store::{Reader, Store, remove},
};
use crate::mongo::Error;

/// Most records that are kept.
const MAX_RECORDS: usize = 10_000;

impl Reader {
    /// Up to `limit` records with ids before `before`, newest first. Without `before` the list begins at the newest.
    pub async fn audit_documents(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditDocument>, Error> {
        let filter = match before {
            Some(before) => doc! { "_id": { "$lt": before } },
            None => doc! {},
        };
        self.documents.newest(AUDIT, filter, limit).await
    }
}

impl Store {
    /// Writes records. Idempotent.
    pub async fn put_audit_documents(&self, records: &[AuditDocument]) -> Result<(), Error> {
        let changes = (records.iter()).map(|record| self.put(AUDIT, &record.id, record));
        self.commit(changes.collect::<Result<_, _>>()?).await
    }

    /// Removes the oldest records above `MAX_RECORDS`.
    pub async fn trim_audit_documents(&self) -> Result<(), Error> {
        let ids = doc! { "_id": 1 };
        let ids: Vec<Document> = self.documents.page(AUDIT, doc! {}, ids, None).await?;
        let surplus = ids.len().saturating_sub(MAX_RECORDS);
        match ids.get(surplus).filter(|_| surplus > 0) {
            Some(oldest) => {
                let oldest = oldest.get_str("_id").unwrap_or_default();
                self.commit(vec![remove(AUDIT, doc! { "_id": { "$lt": oldest } })])
                    .await
            }
            None => Ok(()),
        }
    }
}
