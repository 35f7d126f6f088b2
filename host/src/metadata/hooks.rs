//! Occurrences for hooks: persisted before they are sent.

use bson::doc;

use super::{
    collections::HOOKS,
    documents::HookDocument,
    store::{Reader, Store, remove},
};
use crate::mongo::{Change, Error};

impl Reader {
    /// All occurrences, oldest first.
    pub async fn hook_documents(&self) -> Result<Vec<HookDocument>, Error> {
        let mut documents: Vec<HookDocument> = self.documents.find(HOOKS, doc! {}).await?;
        documents.sort_by_key(|document| (document.at, document.event));
        Ok(documents)
    }
}

impl Store {
    /// Writes an occurrence.
    pub async fn put_hook_document(&self, document: &HookDocument) -> Result<(), Error> {
        self.commit(vec![self.hook_change(document)?]).await
    }

    /// The change that writes an occurrence.
    pub fn hook_change(&self, document: &HookDocument) -> Result<Change, Error> {
        self.put(HOOKS, &document.id, document)
    }

    /// Removes an occurrence.
    pub async fn remove_hook_document(&self, id: &str) -> Result<(), Error> {
        self.commit(vec![remove(HOOKS, doc! { "_id": id })]).await
    }
}
