//! The course of the sync, for the console.

use bson::doc;

use super::{
    collections::HISTORY,
    documents::HistoryDocument,
    store::{Reader, Store},
};
use crate::mongo::Error;

impl Reader {
    /// The course of the sync, if any was written.
    pub async fn history(&self) -> Result<Option<HistoryDocument>, Error> {
        let filter = doc! { "_id": HistoryDocument::ID };
        Ok(self.documents.find(HISTORY, filter).await?.pop())
    }
}

impl Store {
    /// Writes the course of the sync.
    pub async fn put_history(&self, document: &HistoryDocument) -> Result<(), Error> {
        self.commit(vec![self.put(HISTORY, HistoryDocument::ID, document)?])
            .await
    }
}
