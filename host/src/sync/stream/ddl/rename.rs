//! Renames, within the scope and across its border.

use bson::rawdoc;

use super::Ddl;
use crate::{
    metadata::{CopyState, IntentKind, NamespaceDocument, NamespaceKind},
    model::{Namespace, event::CollectionUuid, options::BuildIndexes, raw::Malformed},
    mongo::{self, Whereabouts, listing},
    sync::{Error, catalog, copy, indexes},
};

impl Ddl<'_, '_> {
    pub(super) async fn rename(&mut self) -> Result<bool, Error> {
        let (database, collection) = self.event.rename_to()?;
        let to = Namespace::new(database, collection);
        let destination = self.context.scope.destination(&to)?;
        if let Some(destination) = &destination {
            self.refuse_collision(&to, destination).await?;
        }
        let replaced = self.replaced_collection().await?;
        match (self.document().await?, destination) {
            (Some(namespace), Some(destination)) if !self.is_transformed(&namespace, &to)? => {
                self.rename_to(namespace, to, destination, replaced).await?;
                Ok(true)
            }
            (namespace, Some(destination)) => {
                for gone in namespace.iter().chain(&replaced) {
                    self.drop_collection(gone).await?;
                }
                self.copy_late(to, destination).await
            }
            (Some(namespace), None) => {
                self.drop_collection(&namespace).await?;
                Ok(true)
            }
            (None, None) => Ok(false),
        }
    }

    /// True if plugins see the collection under its old name or its new one: its documents are
    /// then to be what they make of them under the new one, so it is copied again.
    fn is_transformed(&self, namespace: &NamespaceDocument, to: &Namespace) -> Result<bool, Error> {
        let chain = &self.context.chain;
        Ok(chain.of(&namespace.source)?.is_some() || chain.of(to)?.is_some())
    }

    /// The collection in scope that a rename with `dropTarget` has dropped.
    async fn replaced_collection(&self) -> Result<Option<NamespaceDocument>, Error> {
        let Ok(dropped) = self.description()?.get_binary("dropTarget") else {
            return Ok(None);
        };
        let uuid: CollectionUuid = dropped.bytes.try_into().map_err(|_length| Malformed)?;
        Ok(self
            .context
            .store
            .namespace(&NamespaceDocument::id_of_uuid(uuid))
            .await?)
    }

    /// The target is dropped first, by its UUID: a rename that drops it would, sent late, drop
    /// whatever has the name by then.
    async fn rename_to(
        &mut self,
        mut namespace: NamespaceDocument,
        source: Namespace,
        destination: Namespace,
        replaced: Option<NamespaceDocument>,
    ) -> Result<(), Error> {
        if let Some(replaced) = &replaced {
            self.drop_collection(replaced).await?;
        }
        if namespace.destination != destination {
            self.intend(IntentKind::Rename, &namespace.destination)
                .of(&namespace)
                .to(&destination)
                .write()
                .await?;
            self.run_rename(&namespace, &destination).await?;
            if namespace.destination.database != destination.database {
                let Namespace {
                    database,
                    collection,
                } = &destination;
                namespace.destination_uuid =
                    indexes::destination_uuid(self.context, database, collection).await?;
            }
        }
        self.context.status.remove_collection(&namespace.source);
        namespace.source = source;
        namespace.destination = destination;
        self.put(&namespace)
    }

    /// Gives the collection its name, whatever it has by now; one that has it is left alone.
    async fn run_rename(
        &mut self,
        namespace: &NamespaceDocument,
        to: &Namespace,
    ) -> Result<(), Error> {
        let collection = indexes::on_destination(namespace);
        let mut from = namespace.destination.clone();
        let admin = self.context.destination.database("admin");
        loop {
            let mut command =
                rawdoc! { "renameCollection": from.to_string(), "to": to.to_string() };
            collection.append_uuid(&mut command);
            let error = match self.run(&admin, command).await {
                Err(Error::Mongo(error)) => error,
                other => return other,
            };
            match error.whereabouts(&from.collection) {
                Some(Whereabouts::Renamed(actual)) => {
                    from.collection = actual;
                    if from == *to {
                        return Ok(());
                    }
                }
                // Into another database it becomes another collection: that has been done.
                Some(Whereabouts::Gone) if from.database != to.database => return Ok(()),
                _ => return Err(error.into()),
            }
        }
    }

    /// A collection that a rename brings into scope, or before other plugins, is copied now. Its documents
    /// are newer than the event, so updates up to now are not deltas.
    pub(super) async fn copy_late(
        &mut self,
        source: Namespace,
        destination: Namespace,
    ) -> Result<bool, Error> {
        let Some(mut namespace) = self.find_on_source(source, destination).await? else {
            return Ok(false);
        };
        let after = self.event.cluster_time;
        self.record_before().await?;
        copy::copy_one(self.context, namespace.clone(), after).await?;
        if self.context.options.build_indexes == BuildIndexes::AfterDataCopy {
            indexes::build_namespace(self.context, &namespace).await?;
        }
        let destination = &namespace.destination;
        namespace.destination_uuid =
            indexes::destination_uuid(self.context, &destination.database, &destination.collection)
                .await?;
        namespace.copy_state = CopyState::Ready;
        self.exactness
            .raise(listing::operation_time(&self.context.source).await?);
        self.put(&namespace)?;
        Ok(true)
    }

    /// The event's collection as it is on the source now, whatever it is called.
    async fn find_on_source(
        &self,
        source: Namespace,
        destination: Namespace,
    ) -> Result<Option<NamespaceDocument>, Error> {
        let Some(uuid) = self.event.uuid else {
            return Ok(None);
        };
        let database = self.context.source.database(&source.database);
        let hex = NamespaceDocument::id_of_uuid(uuid);
        let listed = listing::collections(&database).await?;
        let Some(found) = listed
            .iter()
            .find(|entry| indexes::uuid_of(entry).as_ref() == Some(&hex))
        else {
            return Ok(None);
        };
        let name = found
            .get_str("name")
            .map_err(|_absent| mongo::Error::Reply("name"))?;
        let options = catalog::options_of(found)?;
        catalog::refuse_unfaithful(&source, &options)?;
        let indexes = catalog::secondary_indexes(&database, name).await?;
        let entry = catalog::Entry {
            kind: NamespaceKind::Collection,
            source,
            destination,
            uuid: Some(uuid),
            options,
            indexes,
        };
        Ok(Some(entry.document()))
    }
}
