//! The metadata of a sync in the other direction.

use bson::doc;

use super::{
    collections::SESSION,
    documents::{NamespaceDocument, PositionDocument, SessionDocument},
    store::{Reader, Store, remove},
};
use crate::mongo::Error;

impl Store {
    /// Begins a reversed sync in one transaction: the session, the namespaces, and the position at which the stream
    /// begins. Documents of an interrupted reverse, and of an earlier sync, are removed.
    pub async fn begin_reversed(
        &self,
        session: &SessionDocument,
        namespaces: &[NamespaceDocument],
        position: &PositionDocument,
    ) -> Result<(), Error> {
        let more = vec![self.position_change(position)?];
        self.begin_with(session, namespaces, more).await
    }

    /// Removes the session of a sync that has been reversed: the metadata of the other cluster counts from now on.
    pub async fn remove_session(&self) -> Result<(), Error> {
        let session = doc! { "_id": SessionDocument::ID };
        self.commit(vec![remove(SESSION, session)]).await
    }
}

impl Reader {
    /// Removes the session of a direction before `reversals`, which a crash has left. Without a guard: a session of a later
    /// direction has more reversals, so a late removal does no harm.
    pub async fn remove_older_session(&self, reversals: i64) -> Result<(), Error> {
        let older = doc! { "$not": { "$gte": reversals } };
        let session = doc! { "_id": SessionDocument::ID, "reversals": older };
        self.documents.delete(SESSION, session).await
    }
}

impl NamespaceDocument {
    /// The namespace in the other direction; `None` for a collection that the destination does not have.
    pub fn reversed(&self) -> Option<Self> {
        let (id, destination_uuid) = match self.uuid() {
            None => (Self::id_of_view(&self.destination), None),
            Some(_) => (self.destination_uuid.clone()?, Some(self.id.clone())),
        };
        Some(Self {
            id,
            source: self.destination.clone(),
            destination: self.source.clone(),
            destination_uuid,
            ..self.clone()
        })
    }
}
