//! The session document, in memory and persisted: changed in one place, in that order.

use tokio::sync::Mutex;

use super::MetadataStore;
use crate::{metadata::SessionDocument, mongo};

/// What the session persists of itself. Every change is durable before it is seen.
pub struct Record {
    store: MetadataStore,
    document: Mutex<SessionDocument>,
}

impl Record {
    /// A record of a session that is persisted already.
    pub fn new(store: MetadataStore, document: SessionDocument) -> Self {
        Self {
            store,
            document: Mutex::new(document),
        }
    }

    pub fn store(&self) -> &MetadataStore {
        &self.store
    }

    pub async fn get(&self) -> SessionDocument {
        self.document.lock().await.clone()
    }

    /// Persists a change; if that fails, nothing has changed.
    pub async fn update(
        &self,
        change: impl FnOnce(&mut SessionDocument),
    ) -> Result<(), mongo::Error> {
        let mut document = self.document.lock().await;
        let mut changed = document.clone();
        change(&mut changed);
        self.store.put_session(&changed).await?;
        *document = changed;
        Ok(())
    }
}
