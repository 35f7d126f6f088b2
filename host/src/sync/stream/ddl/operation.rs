//! The application of one DDL event: its state, and the steps that all kinds of events share.

use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::intent::{Intents, NewIntent};
use crate::{
    metadata::{IntentKind, NamespaceDocument},
    model::{Namespace, event::ChangeEvent, raw::Malformed},
    mongo::{self, Change, DestinationDatabase, code, write::CollectionRef},
    sync::{
        Context, Error, catalog::names::DestinationNames, index_build::MAX_ABORTED,
        stream::tracked_collections::TrackedCollections,
    },
};

/// A DDL event that is being applied.
pub(super) struct DdlOperation<'a, 'e> {
    pub(super) context: &'a Arc<Context>,
    pub(super) tracked_collections: &'a mut TrackedCollections,
    /// The event.
    pub(super) event: &'a ChangeEvent<'e>,
    /// The intents that are persisted before its effects.
    pub(super) intents: Intents<'a>,
    /// The changes to record.
    pub(super) changes: Vec<Change>,
    /// Collections among them that are to be copied.
    pub(super) pending: Vec<NamespaceDocument>,
}

impl<'e> DdlOperation<'_, 'e> {
    /// The event's namespace on the source.
    pub(super) fn namespace(&self) -> Namespace {
        Namespace::new(self.event.database, self.event.collection)
    }

    /// The event's `operationDescription`.
    pub(super) fn description(&self) -> Result<&'e RawDocument, Error> {
        let bytes = self.event.operation_description.ok_or(Malformed)?;
        Ok(RawDocument::from_bytes(bytes).map_err(mongo::Error::Bson)?)
    }

    /// The database of a namespace of the destination.
    pub(super) fn destination(&self, namespace: &Namespace) -> DestinationDatabase {
        self.context.destination.database(&namespace.database)
    }

    /// The document of the event's collection, if it is in scope.
    pub(super) async fn document(&self) -> Result<Option<NamespaceDocument>, Error> {
        let Some(tracked) = self.tracked_collections.get(self.event.uuid) else {
            return Ok(None);
        };
        Ok(self
            .context
            .store
            .namespace(&NamespaceDocument::id_of_uuid(tracked.uuid))
            .await?)
    }

    /// Records a namespace.
    pub(super) fn put(&mut self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.changes
            .push(self.context.store.namespace_change(namespace)?);
        self.context.partitions.update(namespace);
        self.tracked_collections.insert(self.context, namespace)
    }

    /// Refuses a destination name that another namespace has by now. Names can only conflict if a
    /// namespace is renamed.
    ///
    /// # Errors
    /// `NamespaceCollision`.
    pub(super) async fn refuse_collision(
        &self,
        source: &Namespace,
        destination: &Namespace,
    ) -> Result<(), Error> {
        if source == destination && !self.tracked_collections.has_renamed() {
            return Ok(());
        }
        let own = self.event.uuid.map(NamespaceDocument::id_of_uuid);
        let known = self.context.store.namespaces().await?;
        known
            .iter()
            .filter(|other| other.source != *source && Some(&other.id) != own.as_ref())
            .map(|other| (&other.source, &other.destination))
            .chain([(source, destination)])
            .try_fold(DestinationNames::default(), DestinationNames::take)?;
        Ok(())
    }
}

impl<'a> DdlOperation<'a, '_> {
    /// Begins an intent of this event; [`NewIntent::write`] persists it.
    pub(super) fn intend(
        &mut self,
        what: IntentKind,
        destination: &Namespace,
    ) -> NewIntent<'_, 'a> {
        self.intents
            .begin(self.context, self.event, what, destination)
    }

    /// Like [`Self::run`], for a command that builds of the collection's indexes block. They are
    /// aborted; the copy begins them again.
    pub(super) async fn run_over_build(
        &mut self,
        database: &DestinationDatabase,
        collection: &CollectionRef,
        command: RawDocumentBuf,
    ) -> Result<(), Error> {
        for _ in 0..MAX_ABORTED {
            match self.run(database, command.clone()).await {
                Err(Error::Mongo(error)) if error.has_code(code::BACKGROUND_OPERATION) => {}
                other => return other,
            }
            tracing::info!(namespace = %collection.namespace, "aborting an index build that blocks DDL");
            let name = collection.namespace.collection.as_str();
            let mut abort = rawdoc! { "dropIndexes": name, "index": "*" };
            collection.append_uuid(&mut abort);
            let on = self.destination(&collection.namespace);
            self.run(&on, abort).await?;
        }
        self.run(database, command).await
    }

    /// Runs a command of the effect, again after transient failures. So the command must report
    /// whether it finds itself done.
    pub(super) async fn run(
        &mut self,
        database: &DestinationDatabase,
        mut command: RawDocumentBuf,
    ) -> Result<(), Error> {
        command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
        let mut repeated = false;
        let run = database.run_reporting_repeats(command, &mut repeated).await;
        self.intents.note_repeated(repeated);
        Ok(run?)
    }
}
