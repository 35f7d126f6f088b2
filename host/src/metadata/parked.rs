//! Parked keys: reads, and the changes of transactions that write and remove them.

use bson::{Document, doc};

use super::{
    collections::PARKED_KEYS,
    documents::ParkedKeyDocument,
    store::{Reader, Store, parked_keys_of, remove},
};
use crate::mongo::{Change, Error};

/// Most keys of a find. A find that fails is repeated as a whole.
const PAGE: u32 = 10_000;

/// Most ids of a delete: some 3 MB of the 16 MB that a command may have.
const IDS_OF_A_DELETE: usize = 20_000;

impl Reader {
    /// The parked keys of a partition, those of a capped collection in the order of their first events.
    pub async fn parked_keys_of(
        &self,
        partition_id: &str,
    ) -> Result<Vec<ParkedKeyDocument>, Error> {
        let mut keys = self.parked_keys_where(parked_keys_of(partition_id)).await?;
        keys.sort_by_key(|key| key.order);
        Ok(keys)
    }

    /// The parked keys of all partitions.
    pub async fn parked_keys(&self) -> Result<Vec<ParkedKeyDocument>, Error> {
        self.parked_keys_where(doc! {}).await
    }

    async fn parked_keys_where(&self, filter: Document) -> Result<Vec<ParkedKeyDocument>, Error> {
        let mut keys: Vec<ParkedKeyDocument> = Vec::new();
        loop {
            let after = keys.last().map_or("", |key| key.id.as_str());
            let rest = doc! { "$and": [filter.clone(), { "_id": { "$gt": after } }] };
            let page: Vec<ParkedKeyDocument> = self
                .documents
                .page(PARKED_KEYS, rest, doc! {}, Some(PAGE))
                .await?;
            let last = page.len() < PAGE as usize;
            keys.extend(page);
            if last {
                return Ok(keys);
            }
        }
    }
}

impl Store {
    /// The changes that write parked keys, in place of keys with their ids.
    pub fn parked_changes(&self, keys: &[ParkedKeyDocument]) -> Result<Vec<Change>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys
            .iter()
            .map(|key| Ok((key.id.clone(), self.stamped(key)?)));
        Ok(vec![Change::PutMany {
            collection: PARKED_KEYS,
            documents: keys.collect::<Result<_, Error>>()?,
        }])
    }

    /// Removes all parked keys of these partitions. Invariant: their documents are durable, and so is
    /// the position after their look-ups.
    pub async fn remove_parked(&self, partition_ids: &[String]) -> Result<(), Error> {
        self.commit(self.parked_removal(partition_ids)).await
    }

    /// The changes that remove all parked keys of these partitions.
    pub fn parked_removal(&self, partition_ids: &[String]) -> Vec<Change> {
        let ids = partition_ids.iter();
        ids.map(|id| remove(PARKED_KEYS, parked_keys_of(id)))
            .collect()
    }

    /// The changes that remove the parked keys with these ids.
    pub fn parked_removal_by_id(&self, ids: &[String]) -> Vec<Change> {
        let portions = ids.chunks(IDS_OF_A_DELETE);
        portions
            .map(|ids| remove(PARKED_KEYS, doc! { "_id": { "$in": ids } }))
            .collect()
    }
}
