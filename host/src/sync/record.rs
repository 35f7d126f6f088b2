//! The session document, in memory and persisted: changed in one place, in that order.

use tokio::sync::{Mutex, watch};

use crate::{
    metadata::{self, SessionDocument},
    mongo,
};

/// What the session persists of itself. Every change is durable before it is seen.
pub struct Record {
    store: metadata::Store,
    document: watch::Sender<SessionDocument>,
    /// Held by the change that is being persisted. Readers do not wait for it: a destination
    /// that is silent must not stop `/progress`.
    writing: Mutex<()>,
}

impl Record {
    /// A record of a session that is persisted already.
    pub fn new(store: metadata::Store, document: SessionDocument) -> Self {
        Self {
            store,
            document: watch::Sender::new(document),
            writing: Mutex::default(),
        }
    }

    pub fn store(&self) -> &metadata::Store {
        &self.store
    }

    /// The session as it was persisted last.
    pub fn get(&self) -> SessionDocument {
        self.document.borrow().clone()
    }

    /// Persists a change; if that fails, nothing has changed.
    pub async fn update(
        &self,
        change: impl FnOnce(&mut SessionDocument),
    ) -> Result<(), mongo::Error> {
        let _writing = self.writing.lock().await;
        let mut changed = self.get();
        change(&mut changed);
        self.store.put_session(&changed).await?;
        self.document.send_replace(changed);
        Ok(())
    }
}
