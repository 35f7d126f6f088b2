//! Changed options of collections.

use bson::rawdoc;

use super::operation::DdlOperation;
use crate::{
    metadata::IntentKind,
    model::Namespace,
    sync::{
        Error,
        catalog::{destination, time_series},
        restore::relaxation,
    },
};

impl DdlOperation<'_, '_> {
    /// Sets the changed options. Index settings and capped sizes wait for commit, which reads them
    /// from the source.
    pub(super) async fn modify(&mut self) -> Result<bool, Error> {
        let description = self.description()?;
        if self.event.uuid.is_none() {
            return self.modify_view(description);
        }
        let Some(mut namespace) = self.document().await? else {
            return Ok(false);
        };
        let collection = destination::on_destination(&namespace);
        let name = self.modified_name(&namespace.destination).await?;
        let mut command = rawdoc! { "collMod": name };
        let changed = relaxation::append_modified(&mut command, description)?;
        if !changed.is_empty() {
            if namespace.is_on_destination() {
                self.intend(IntentKind::Modify, &namespace.destination)
                    .of(&namespace)
                    .write()
                    .await?;
                collection.append_uuid(&mut command);
                let database = self.destination(&namespace.destination);
                self.run_over_build(&database, &collection, command).await?;
            }
            namespace.options = relaxation::merged_options(&namespace.options, &changed)?;
            self.put(&namespace)?;
        }
        Ok(true)
    }

    /// The name for a `collMod`. That of a time-series collection changes its view too, which an undone commit has left.
    async fn modified_name(&self, destination: &Namespace) -> Result<String, Error> {
        let Some(series) = destination.time_series() else {
            return Ok(destination.collection.clone());
        };
        let database = self.destination(destination);
        Ok(
            match time_series::has_view(database.reads(), &series).await? {
                true => series.collection,
                false => destination.collection.clone(),
            },
        )
    }
}
