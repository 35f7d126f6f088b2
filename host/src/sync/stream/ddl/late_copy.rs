//! Collections that are copied while the stream runs.

use super::operation::DdlOperation;
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::{Namespace, options::BuildIndexes},
    mongo::{self, listing},
    sync::{
        Error,
        catalog::{self, destination, indexes},
        copy, index_build,
    },
};

impl DdlOperation<'_, '_> {
    /// Copies a collection that a rename brings into scope, or to other plugins. Its documents are
    /// newer than the event, so updates up to the source's current time are not applied as deltas.
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
            index_build::build_namespace(self.context, &namespace).await?;
        }
        let destination = &namespace.destination;
        namespace.destination_uuid = destination::destination_uuid(
            &self.context.destination,
            &destination.database,
            &destination.collection,
        )
        .await?;
        namespace.copy_state = CopyState::Ready;
        self.exactness
            .raise(listing::operation_time(&self.context.source).await?);
        self.put(&namespace)?;
        Ok(true)
    }

    /// The event's collection as it is on the source now, under its current name.
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
