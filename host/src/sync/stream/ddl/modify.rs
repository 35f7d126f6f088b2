//! Changed options of collections.

use bson::rawdoc;

use super::operation::DdlOperation;
use crate::{
    metadata::IntentKind,
    sync::{Error, catalog::destination, restore::relaxation},
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
        let mut command = rawdoc! { "collMod": namespace.destination.collection.as_str() };
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
}
