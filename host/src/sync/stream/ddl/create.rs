//! Created collections.

use bson::RawDocumentBuf;

use super::{operation::DdlOperation, view::is_view};
use crate::{
    metadata::{CopyState, IntentKind, NamespaceDocument, NamespaceKind},
    model::Namespace,
    mongo::{Change, listing},
    sync::{
        Error,
        catalog::{self, destination, options},
        restore::relaxation,
    },
};

impl DdlOperation<'_, '_> {
    /// Applies a create event. Returns whether it was in scope, as all kinds of events do.
    pub(super) async fn create(&mut self) -> Result<bool, Error> {
        let source = self.namespace();
        let Some(destination) = self.context.scope.destination(&source)? else {
            return Ok(false);
        };
        if self.tracked_collections.get(self.event.uuid).is_some() {
            return Ok(false);
        }
        self.refuse_collision(&source, &destination).await?;
        let options = self.description()?;
        catalog::refuse_unfaithful(&source, options)?;
        if self.event.uuid.is_none() {
            return self.put_view(source, destination, options);
        }
        if options::is_capped(options) {
            // convertToCapped and cloneCollectionAsCapped fill the collection with documents that
            // no event reports.
            return self.copy_beside(source, destination).await;
        }
        let listed = self.listed_on_source(&source).await?;
        let id_index = listed
            .as_deref()
            .and_then(|listed| listing::subdocument(listed, "idIndex"));
        let entry = catalog::CatalogEntry {
            kind: NamespaceKind::Collection,
            destination,
            uuid: self.event.uuid,
            // The event has no index of `_id`.
            options: options::of_listing(options, id_index)?,
            source,
            indexes: Vec::new(),
        };
        let mut namespace = entry.document();
        namespace.copy_state = CopyState::Ready;
        self.create_collection(&mut namespace).await?;
        self.put(&namespace)?;
        Ok(true)
    }

    /// The source's listing of the event's collection, if it still has this name.
    async fn listed_on_source(&self, name: &Namespace) -> Result<Option<RawDocumentBuf>, Error> {
        let database = self.context.source.database(&name.database);
        let found = listing::collection(&database, &name.collection).await?;
        let uuid = self.event.uuid.map(NamespaceDocument::id_of_uuid);
        Ok(found.filter(|found| destination::uuid_of(found) == uuid))
    }

    /// Creates the collection in the transaction that records it. Its UUID is known afterwards. An
    /// existing collection was created by an earlier release, which recorded it later.
    async fn create_collection(&mut self, namespace: &mut NamespaceDocument) -> Result<(), Error> {
        let Namespace {
            database,
            collection,
        } = &namespace.destination;
        let on_destination = self.destination(&namespace.destination);
        let existing = listing::collection(on_destination.reads(), collection).await?;
        match existing {
            Some(found) if !is_view(&found) => {
                let uuid = destination::uuid_of(&found);
                destination::refuse_another(&self.context.store, &namespace.id, uuid.as_ref())
                    .await?;
                namespace.destination_uuid = uuid;
                return Ok(());
            }
            Some(_view) => self.drop_view_of(&namespace.destination).await?,
            None => {}
        }
        self.intend(IntentKind::Create, &namespace.destination)
            .write()
            .await?;
        self.changes.push(Change::Command {
            database: database.clone(),
            body: relaxation::create_command(collection, &namespace.options)?,
        });
        Ok(())
    }
}
