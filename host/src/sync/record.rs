//! The session document, persisted and in memory. Every change goes through here, in that order.

use tokio::sync::{Mutex, watch};

use crate::{
    metadata::{self, SessionDocument},
    mongo::{self, Change},
};

/// The session document. Every change is durable before it is visible.
pub struct Record {
    store: metadata::Store,
    document: watch::Sender<SessionDocument>,
    /// Held while a change is persisted. Readers do not wait for it: a silent destination must not
    /// stop `/progress`.
    writing: Mutex<()>,
}

impl Record {
    /// A record of a session that is already persisted.
    pub fn new(store: metadata::Store, document: SessionDocument) -> Self {
        Self {
            store,
            document: watch::Sender::new(document),
            writing: Mutex::default(),
        }
    }

    /// The metadata that the record is part of.
    pub fn store(&self) -> &metadata::Store {
        &self.store
    }

    /// The session as it was last persisted.
    pub fn get(&self) -> SessionDocument {
        self.document.borrow().clone()
    }

    /// Notices of changes. The receiver ends with the record.
    pub fn changes(&self) -> watch::Receiver<SessionDocument> {
        self.document.subscribe()
    }

    /// Reads the session again, after writes of dropped work whose outcome is not known.
    ///
    /// # Errors
    /// Errors of the metadata; nothing has changed in memory then.
    pub async fn reload(&self) -> Result<(), mongo::Error> {
        let _writing = self.writing.lock().await;
        self.store.settle().await?;
        let session = self.store.session().await?;
        let session = session.ok_or(mongo::Error::Reply("session"))?;
        self.document.send_replace(session);
        Ok(())
    }

    /// Persists a change. If that fails, nothing has changed in memory.
    ///
    /// Cancel safe in memory: a dropped call may have persisted the change, and the next change
    /// overwrites it.
    pub async fn update(
        &self,
        change: impl FnOnce(&mut SessionDocument),
    ) -> Result<(), mongo::Error> {
        self.update_with(change, Vec::new()).await
    }

    /// Like [`Self::update`], in one transaction with other changes.
    pub async fn update_with(
        &self,
        change: impl FnOnce(&mut SessionDocument),
        more: Vec<Change>,
    ) -> Result<(), mongo::Error> {
        let _writing = self.writing.lock().await;
        let mut changed = self.get();
        change(&mut changed);
        self.store.put_session(&changed, more).await?;
        self.document.send_replace(changed);
        Ok(())
    }
}
