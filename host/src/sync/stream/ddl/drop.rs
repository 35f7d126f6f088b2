//! Dropped collections and databases.

use std::collections::HashSet;

use super::operation::DdlOperation;
use crate::{
    metadata::{IntentKind, NamespaceDocument, NamespaceKind},
    model::Namespace,
    mongo::{self, write::CollectionRef},
    sync::{Error, catalog::destination},
};

impl DdlOperation<'_, '_> {
    /// Applies a drop event.
    pub(super) async fn drop(&mut self) -> Result<bool, Error> {
        if self.event.uuid.is_none() {
            return self.drop_view().await;
        }
        let Some(namespace) = self.document().await? else {
            return Ok(false);
        };
        self.drop_collection(&namespace).await?;
        Ok(true)
    }

    /// Drops a collection on the destination, if it still exists, and forgets it.
    pub(super) async fn drop_collection(
        &mut self,
        namespace: &NamespaceDocument,
    ) -> Result<(), Error> {
        if namespace.is_on_destination() {
            self.intend(IntentKind::Drop, &namespace.destination)
                .of(namespace)
                .write()
                .await?;
            let collection = destination::on_destination(namespace);
            if collection.namespace.time_series().is_none() || self.is_there(&collection).await? {
                self.drop_by_uuid(&collection).await?;
            }
        }
        self.forget(namespace);
        Ok(())
    }

    /// Whether buckets still have their name. Their drop names no UUID, and a replay must not drop a later collection.
    async fn is_there(&self, buckets: &CollectionRef) -> Result<bool, Error> {
        let Namespace {
            database,
            collection,
        } = &buckets.namespace;
        let found =
            destination::destination_uuid(&self.context.destination, database, collection).await?;
        Ok(found == buckets.uuid.map(NamespaceDocument::id_of_uuid))
    }

    /// Drops the collection of this UUID under its current name.
    async fn drop_by_uuid(&mut self, collection: &CollectionRef) -> Result<(), Error> {
        let mut name = collection.namespace.collection.clone();
        loop {
            let command = destination::drop_command(collection, &name);
            let database = self.destination(&collection.namespace);
            match self.run(&database, command).await {
                Err(Error::Mongo(error)) => match error.location(&name) {
                    Some(mongo::CollectionLocation::Renamed(actual)) => name = actual,
                    Some(mongo::CollectionLocation::Gone) => return Ok(()),
                    None => return Err(error.into()),
                },
                other => return other,
            }
        }
    }

    fn forget(&mut self, namespace: &NamespaceDocument) {
        let removal = self.context.store.namespace_removal(&namespace.id);
        self.changes.extend(removal);
        let status = &self.context.status;
        self.context.quarantine.forget(status, &namespace.id);
        status.collections.remove(&namespace.source);
        if let Some(uuid) = namespace.uuid() {
            self.tracked_collections.remove(uuid);
            self.context.partitions.remove(uuid);
        }
    }

    /// Forgets the views of a dropped database, and drops views that an earlier release has
    /// created.
    ///
    /// Events of their own have dropped its collections, and the empty database with them.
    /// `dropDatabase` is not sent: it has no UUID, and a late command would drop a later database
    /// (see [`crate::sync::catalog::database_names`]).
    pub(super) async fn drop_database(&mut self) -> Result<bool, Error> {
        let known = self.context.store.namespaces().await?;
        let views = known.iter().filter(|known| {
            known.kind == NamespaceKind::View && known.source.database == self.event.database
        });
        let mut names = HashSet::from([self.event.database.to_owned()]);
        let mut dropped = false;
        for view in views {
            self.drop_view_of(&view.destination).await?;
            self.forget_view(&view.id);
            names.insert(view.destination.database.clone());
            dropped = true;
        }
        names.extend(self.renamed_database()?);
        for name in names {
            self.drop_list_of_views(&name).await?;
        }
        Ok(dropped)
    }

    /// The destination of the event's database as a whole, whatever the names of its collections.
    fn renamed_database(&self) -> Result<Option<String>, Error> {
        let any = Namespace::new(self.event.database, "any");
        let destination = self.context.scope.destination(&any)?;
        Ok(destination.map(|destination| destination.database))
    }
}
