//! Collections that are copied while the stream runs.

use super::operation::DdlOperation;
use crate::{
    metadata::{NamespaceDocument, NamespaceKind},
    model::{Namespace, event::CollectionUuid},
    mongo::{self, listing},
    sync::{
        Error,
        catalog::{self, destination, indexes},
    },
};

impl DdlOperation<'_, '_> {
    /// Records a collection that a rename brings into scope, or to other plugins, or that the source
    /// fills without events. The workers of the copy create it.
    pub(super) async fn copy_beside(
        &mut self,
        source: Namespace,
        destination: Namespace,
    ) -> Result<bool, Error> {
        self.copy_beside_by(self.event.uuid, source, destination)
            .await
    }

    /// Like [`Self::copy_beside`], for the collection with this UUID on the source.
    pub(super) async fn copy_beside_by(
        &mut self,
        uuid: Option<CollectionUuid>,
        source: Namespace,
        destination: Namespace,
    ) -> Result<bool, Error> {
        let Some(namespace) = self.find_on_source(uuid, source, destination).await? else {
            return Ok(false);
        };
        self.put(&namespace)?;
        self.pending.push(namespace);
        Ok(true)
    }

    /// A collection as it is on the source now, under its current name.
    async fn find_on_source(
        &self,
        uuid: Option<CollectionUuid>,
        source: Namespace,
        destination: Namespace,
    ) -> Result<Option<NamespaceDocument>, Error> {
        let Some(uuid) = uuid else {
            return Ok(None);
        };
        let database = self.context.source.database(&source.database);
        let hex = NamespaceDocument::id_of_uuid(uuid);
        let listed = listing::collections(&database).await?;
        let Some(found) = listed
            .iter()
            .find(|entry| destination::uuid_of(entry).as_ref() == Some(&hex))
        else {
            return Ok(None);
        };
        let name = found
            .get_str("name")
            .map_err(|_absent| mongo::Error::Reply("name"))?;
        let options = catalog::options_of(found)?;
        catalog::refuse_unfaithful(&source, &options)?;
        let indexes = indexes::secondary_indexes(&database, name).await?;
        let entry = catalog::CatalogEntry {
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
