//! Indexes that are created and dropped while the stream runs.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::operation::DdlOperation;
use crate::{
    metadata::{CopyState, IntentKind, NamespaceDocument},
    model::options::BuildIndexes,
    mongo::{self, code},
    sync::{Error, catalog::destination, index_build, restore::relaxation},
};

impl DdlOperation<'_, '_> {
    /// Builds created indexes. A failed build is repeated and reported at commit.
    pub(super) async fn create_indexes(&mut self) -> Result<bool, Error> {
        let Some(mut namespace) = self.document().await? else {
            return Ok(false);
        };
        let created = index_specs(self.description()?)?;
        if is_built(&namespace)
            && self.context.options.build_indexes != BuildIndexes::Never
            && !created.is_empty()
        {
            self.intend(IntentKind::CreateIndexes, &namespace.destination)
                .of(&namespace)
                .write()
                .await?;
            let database = self.destination(&namespace.destination);
            let collection = destination::on_destination(&namespace);
            let specs =
                relaxation::buildable_indexes(&namespace.options, &created, &namespace.indexes)?;
            if !specs.is_empty() {
                let command = relaxation::build_command(&collection, &specs);
                if let Err(error) = self.run(&database, command).await {
                    let error = error.unless_fatal()?;
                    for index in &specs {
                        index_build::note_failure(&self.context.status, &namespace, index, &error);
                    }
                }
            }
        }
        for index in created {
            namespace
                .indexes
                .retain(|known| known.get_str("name").ok() != index.get_str("name").ok());
            namespace.indexes.push(index);
        }
        self.put(&namespace)?;
        Ok(true)
    }

    /// Drops indexes. A missing index has been dropped before.
    pub(super) async fn drop_indexes(&mut self) -> Result<bool, Error> {
        let Some(mut namespace) = self.document().await? else {
            return Ok(false);
        };
        let database = self.destination(&namespace.destination);
        let collection = destination::on_destination(&namespace);
        let is_built = is_built(&namespace);
        if is_built {
            self.intend(IntentKind::DropIndexes, &namespace.destination)
                .of(&namespace)
                .write()
                .await?;
        }
        for index in index_specs(self.description()?)? {
            let name = index
                .get_str("name")
                .map_err(|_absent| mongo::Error::Reply("name"))?;
            namespace
                .indexes
                .retain(|known| known.get_str("name").ok() != Some(name));
            let collections = &self.context.status.collections;
            collections.index_settled(&namespace.source, name);
            if !is_built {
                continue;
            }
            let mut command =
                rawdoc! { "dropIndexes": namespace.destination.collection.as_str(), "index": name };
            collection.append_uuid(&mut command);
            match self.run(&database, command).await {
                Err(Error::Mongo(error))
                    if error.has_code(code::INDEX_NOT_FOUND)
                        || error.has_code(code::NAMESPACE_NOT_FOUND) => {}
                other => other?,
            }
        }
        self.put(&namespace)?;
        Ok(true)
    }
}

/// Whether the collection's indexes are built. Before, their record alone changes: the build at the
/// end of the copy brings the indexes to it.
fn is_built(namespace: &NamespaceDocument) -> bool {
    namespace.copy_state == CopyState::Ready
}

/// The `indexes` of an index event's description.
fn index_specs(description: &RawDocument) -> Result<Vec<RawDocumentBuf>, Error> {
    let specs = description
        .get_array("indexes")
        .map_err(|_absent| mongo::Error::Reply("indexes"))?;
    let mut indexes = Vec::new();
    for spec in specs {
        if let RawBsonRef::Document(spec) = spec.map_err(mongo::Error::Bson)? {
            indexes.push(spec.to_owned());
        }
    }
    Ok(indexes)
}
