//! The quarantine: `_id`s of documents that a plugin could not handle.

use bson::{doc, rawdoc};
use serde::Deserialize;

use super::{
    collections::QUARANTINE,
    documents::QuarantineDocument,
    store::{Reader, Store, remove},
};
use crate::{
    model::namespace::METADATA_DATABASE,
    mongo::{Change, Error},
};

/// Limits of a transaction that removes stored documents of older releases: entries, and bytes, since an
/// entry can have 16 MiB.
const STORED_AT_ONCE: u32 = 1_000;
const MAX_BYTES: i64 = 16 << 20;

/// The fields of an entry that a host keeps in memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedId {
    /// The namespace's id and a digest of the document's `_id`.
    #[serde(rename = "_id")]
    pub id: String,
    /// `_id` of the namespace's document.
    pub namespace_id: String,
}

/// An entry with a stored document.
#[derive(Debug, Deserialize)]
struct StoredDocument {
    #[serde(rename = "_id")]
    id: String,
    bytes: i64,
}

impl Reader {
    /// Ids of all entries.
    pub async fn quarantined_ids(&self) -> Result<Vec<QuarantinedId>, Error> {
        self.documents
            .page(
                QUARANTINE,
                doc! {},
                doc! { "_id": 1, "namespaceId": 1 },
                None,
            )
            .await
    }

    /// At most `limit` entries with ids greater than `after`.
    pub async fn quarantined(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<QuarantineDocument>, Error> {
        self.documents
            .page(
                QUARANTINE,
                doc! { "_id": { "$gt": after } },
                doc! { "document": 0 },
                Some(limit),
            )
            .await
    }
}

impl Store {
    /// Writes entries with distinct ids, in place of existing entries, in one transaction.
    pub async fn put_quarantined(&self, entries: &[QuarantineDocument]) -> Result<(), Error> {
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        debug_assert_eq!(
            ids.iter().collect::<std::collections::HashSet<_>>().len(),
            ids.len(),
            "one insert has no two documents of an id"
        );
        let earlier = remove(QUARANTINE, doc! { "_id": { "$in": ids } });
        let changes = vec![earlier, self.insert(QUARANTINE, entries)?];
        self.commit(changes).await
    }

    /// Removes the documents that releases up to 0.3.0 have stored in entries; the entries stay. Returns the
    /// number of removed documents.
    pub async fn remove_stored_documents(&self) -> Result<usize, Error> {
        let (mut after, mut removed) = (String::new(), 0);
        loop {
            let stored: Vec<StoredDocument> = self
                .documents
                .page(
                    QUARANTINE,
                    doc! { "_id": { "$gt": &after }, "document": { "$exists": true } },
                    doc! { "_id": 1, "bytes": { "$toLong": { "$bsonSize": "$$ROOT" } } },
                    Some(STORED_AT_ONCE),
                )
                .await?;
            let Some(last) = stored.last() else {
                return Ok(removed);
            };
            for portion in portions(&stored) {
                self.commit(vec![self.without_documents(portion)]).await?;
            }
            removed += stored.len();
            after.clone_from(&last.id);
        }
    }

    /// The change that removes stored documents. It also sets the term: the collection's validator requires it,
    /// and release 0.1.1 wrote none.
    fn without_documents(&self, entries: &[StoredDocument]) -> Change {
        let ids = entries.iter().map(|entry| entry.id.as_str());
        let ids: bson::RawArrayBuf = ids.collect();
        let mut statements = bson::RawArrayBuf::new();
        statements.push(rawdoc! {
            "q": { "_id": { "$in": ids } },
            "u": { "$unset": { "document": "" }, "$set": { "term": self.key().term } },
            "multi": true,
        });
        Change::Command {
            database: METADATA_DATABASE.to_owned(),
            body: rawdoc! { "update": QUARANTINE, "updates": statements },
        }
    }

    /// Removes all entries of a namespace.
    pub async fn remove_quarantined_of(&self, namespace_id: &str) -> Result<(), Error> {
        let all = remove(QUARANTINE, doc! { "namespaceId": namespace_id });
        self.commit(vec![all]).await
    }

    /// Removes entries.
    pub async fn remove_quarantined(&self, ids: &[String]) -> Result<(), Error> {
        self.commit(vec![remove(QUARANTINE, doc! { "_id": { "$in": ids } })])
            .await
    }
}

/// Splits entries into portions for a transaction each.
fn portions(entries: &[StoredDocument]) -> impl Iterator<Item = &[StoredDocument]> {
    let mut bytes = entries.first().map_or(0, |entry| entry.bytes);
    entries.chunk_by(move |_, next| {
        bytes += next.bytes;
        let fits = bytes <= MAX_BYTES;
        if !fits {
            bytes = next.bytes;
        }
        fits
    })
}
