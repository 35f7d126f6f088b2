//! Renames, within the scope and across its border.

use bson::rawdoc;

use super::operation::DdlOperation;
use crate::{
    metadata::{IntentKind, NamespaceDocument},
    model::Namespace,
    mongo::CollectionLocation,
    sync::{Error, catalog::destination},
};

impl DdlOperation<'_, '_> {
    /// Applies a rename event: a rename, a drop or a copy, depending on the scope of both names.
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
                self.copy_beside(to, destination).await
            }
            (Some(namespace), None) => {
                self.drop_collection(&namespace).await?;
                Ok(true)
            }
            (None, None) => Ok(false),
        }
    }

    /// Whether plugins see the collection under its old or its new name. Its documents must then be
    /// transformed by the plugins of the new name, so the collection is copied again.
    fn is_transformed(&self, namespace: &NamespaceDocument, to: &Namespace) -> Result<bool, Error> {
        let chain = &self.context.chain;
        Ok(chain.of(&namespace.source)?.is_some() || chain.of(to)?.is_some())
    }

    /// The collection in scope that a rename with `dropTarget` has dropped.
    async fn replaced_collection(&self) -> Result<Option<NamespaceDocument>, Error> {
        let Some(uuid) = self.event.dropped_target() else {
            return Ok(None);
        };
        Ok(self
            .context
            .store
            .namespace(&NamespaceDocument::id_of_uuid(uuid))
            .await?)
    }

    /// Renames the collection. The target is dropped first, by its UUID: a late rename with
    /// `dropTarget` would drop any collection that has the name by then.
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
        if namespace.destination != destination && namespace.is_on_destination() {
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
                    destination::destination_uuid(&self.context.destination, database, collection)
                        .await?;
            }
        }
        self.context.status.collections.remove(&namespace.source);
        namespace.source = source;
        namespace.destination = destination;
        self.put(&namespace)
    }

    /// Renames the collection from its current name to `to`; does nothing if it has that name.
    async fn run_rename(
        &mut self,
        namespace: &NamespaceDocument,
        to: &Namespace,
    ) -> Result<(), Error> {
        let collection = destination::on_destination(namespace);
        let mut from = namespace.destination.clone();
        let admin = self.context.destination.database("admin");
        loop {
            let mut command =
                rawdoc! { "renameCollection": from.to_string(), "to": to.to_string() };
            collection.append_uuid(&mut command);
            let error = match self.run_over_build(&admin, &collection, command).await {
                Err(Error::Mongo(error)) => error,
                other => return other,
            };
            match error.location(&from.collection) {
                Some(CollectionLocation::Renamed(actual)) => {
                    from.collection = actual;
                    if from == *to {
                        return Ok(());
                    }
                }
                // A rename into another database creates another collection, and has been done.
                Some(CollectionLocation::Gone) if from.database != to.database => return Ok(()),
                _ => return Err(error.into()),
            }
        }
    }
}
