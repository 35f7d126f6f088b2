//! Items of work that the leader assigns to other hosts.
//!
//! Invariants:
//!
//! - Only the leader writes and removes items, in its term. The holder changes an open item once, to report.
//! - A token is never used twice, so a report counts for its own assignment alone.
//! - Work begins without items: those of earlier work are removed in its first transaction.

use std::collections::HashMap;

use bson::{Document, doc};

use super::{
    collections::ITEMS,
    documents::{ItemDocument, VerifyReport},
    store::{Reader, Store, remove},
};
use crate::mongo::{Change, Error};

/// The holder of an item, for counts.
#[derive(serde::Deserialize)]
struct ItemHolder {
    holder: String,
}

impl Reader {
    /// The open items of a process.
    pub async fn items_of(&self, holder: &str) -> Result<Vec<ItemDocument>, Error> {
        let open = doc! { "holder": holder, "state": "open" };
        self.documents.find(ITEMS, open).await
    }

    /// The items with these ids.
    pub async fn items(&self, ids: &[&str]) -> Result<Vec<ItemDocument>, Error> {
        self.documents
            .find(ITEMS, doc! { "_id": { "$in": ids } })
            .await
    }

    /// The number of open items of each process.
    pub async fn item_counts(&self) -> Result<HashMap<String, u64>, Error> {
        let (open, fields) = (doc! { "state": "open" }, doc! { "holder": 1 });
        let items: Vec<ItemHolder> = self.documents.page(ITEMS, open, fields, None).await?;
        let mut counts = HashMap::new();
        for item in items {
            *counts.entry(item.holder).or_default() += 1;
        }
        Ok(counts)
    }

    /// Whether an assignment still counts: its item is open, in the term of the present holder of the lease.
    pub async fn is_assigned(&self, item: &ItemDocument) -> Result<bool, Error> {
        let lease = self.lease().await?;
        let is_led = lease.is_some_and(|lease| !lease.released && lease.term == item.term);
        let mine = doc! { "_id": &item.id, "token": &item.token, "state": "open" };
        let found: Vec<Document> = self.documents.find(ITEMS, mine).await?;
        Ok(is_led && !found.is_empty())
    }

    /// Reports the end of an assignment. False if it does not count any more, or was reported before.
    pub async fn report_item(
        &self,
        item: &ItemDocument,
        report: &VerifyReport,
    ) -> Result<bool, Error> {
        let mine = doc! { "_id": &item.id, "token": &item.token, "state": "open" };
        let report = bson::serialize_to_document(report)?;
        let set = doc! { "$set": { "state": "reported", "report": { "$literal": report } } };
        let reported: Option<Document> = self.documents.update(ITEMS, mine, vec![set]).await?;
        Ok(reported.is_some())
    }
}

impl Store {
    /// Assigns items, in one transaction.
    pub async fn put_items(&self, items: &[ItemDocument]) -> Result<(), Error> {
        let changes = items.iter().map(|item| self.put(ITEMS, &item.id, item));
        self.commit(changes.collect::<Result<_, _>>()?).await
    }

    /// Takes items away, in one transaction: later reports match nothing.
    pub async fn remove_items(&self, ids: &[&str]) -> Result<(), Error> {
        self.commit(vec![remove(ITEMS, doc! { "_id": { "$in": ids } })])
            .await
    }

    /// Takes all items away.
    pub async fn take_items_away(&self) -> Result<(), Error> {
        self.commit(self.items_removal().await?.into_iter().collect())
            .await
    }

    /// The change that takes all items of earlier work away; `None` if there are none.
    pub(super) async fn items_removal(&self) -> Result<Option<Change>, Error> {
        let any: Vec<Document> = self
            .documents
            .page(ITEMS, doc! {}, doc! { "_id": 1 }, Some(1))
            .await?;
        Ok((!any.is_empty()).then(|| remove(ITEMS, doc! {})))
    }
}
