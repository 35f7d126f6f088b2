//! Renames, within the scope and across its border.

use bson::rawdoc;

use super::Ddl;
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::{Namespace, event::CollectionUuid, options::BuildIndexes, raw::Malformed},
    mongo::{self, listing},
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

    async fn rename_to(
        &mut self,
        mut namespace: NamespaceDocument,
        source: Namespace,
        destination: Namespace,
        replaced: Option<NamespaceDocument>,
    ) -> Result<(), Error> {
        let current = self.current_name(&namespace).await?;
        if current.is_some()
            && namespace.destination != destination
            && current.as_ref() != Some(&destination.collection)
        {
            let command = rawdoc! {
                "renameCollection": namespace.destination.to_string(),
                "to": destination.to_string(),
                "dropTarget": replaced.is_some(),
                "writeConcern": { "w": "majority" },
            };
            indexes::run(&self.context.destination.database("admin"), command).await?;
        }
        if let Some(replaced) = replaced {
            self.forget(&replaced).await?;
        }
        self.context.status.remove_collection(&namespace.source);
        namespace.source = source;
        namespace.destination = destination;
        self.put(&namespace).await
    }

    /// A collection that a rename brings into scope, or before other plugins, is copied now. Its documents
    /// are newer than the event, so updates up to now are not deltas.
    async fn copy_late(
        &mut self,
        source: Namespace,
        destination: Namespace,
    ) -> Result<bool, Error> {
        let Some(mut namespace) = self.find_on_source(source, destination).await? else {
            return Ok(false);
        };
        let after = self.event.cluster_time;
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
        self.put(&namespace).await?;
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
        let options = listing::subdocument(found, "options")
            .map(ToOwned::to_owned)
            .unwrap_or_default();
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
