//! Views. They have no UUID, so they are recorded here and created at commit. Views that an earlier
//! release has created are dropped if they block a name.

use bson::{RawDocument, rawdoc};

use super::operation::DdlOperation;
use crate::{
    metadata::{CopyState, IntentKind, NamespaceDocument, NamespaceKind},
    model::Namespace,
    mongo::{self, code, listing, write::CollectionRef},
    sync::{
        Error,
        catalog::{self, destination, views},
    },
};

/// The collection that holds a database's views.
const SYSTEM_VIEWS: &str = "system.views";

impl DdlOperation<'_, '_> {
    /// Records a view, or its changed definition.
    pub(super) fn put_view(
        &mut self,
        source: Namespace,
        destination: Namespace,
        options: &RawDocument,
    ) -> Result<bool, Error> {
        let scope = &self.context.scope;
        let entry = catalog::CatalogEntry {
            kind: NamespaceKind::View,
            options: views::on_destination(scope, &source, &destination, options)?,
            source,
            destination,
            uuid: None,
            indexes: Vec::new(),
        };
        let mut view = entry.document();
        view.copy_state = CopyState::Ready;
        self.changes
            .push(self.context.store.namespace_change(&view)?);
        Ok(true)
    }

    /// Records the changed definition of a view.
    pub(super) fn modify_view(&mut self, description: &RawDocument) -> Result<bool, Error> {
        let source = self.namespace();
        match self.context.scope.destination(&source)? {
            Some(destination) => self.put_view(source, destination, description),
            None => Ok(false),
        }
    }

    /// Forgets a dropped view.
    pub(super) async fn drop_view(&mut self) -> Result<bool, Error> {
        let source = self.namespace();
        let Some(destination) = self.context.scope.destination(&source)? else {
            return Ok(false);
        };
        self.drop_view_of(&destination).await?;
        self.forget_view(&NamespaceDocument::id_of_view(&source));
        Ok(true)
    }

    /// Removes the record of a view.
    pub(super) fn forget_view(&mut self, id: &str) {
        self.changes
            .extend(self.context.store.namespace_removal(id));
    }

    /// Drops a view that an earlier release has created under this name.
    pub(super) async fn drop_view_of(&mut self, destination: &Namespace) -> Result<(), Error> {
        let database = self.destination(destination);
        let found = listing::collection(database.reads(), &destination.collection).await?;
        if !found.is_some_and(|found| is_view(&found)) {
            return Ok(());
        }
        self.intend(IntentKind::Drop, destination).write().await?;
        let command = rawdoc! { "drop": destination.collection.as_str() };
        match self.run(&database, command).await {
            Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_NOT_FOUND) => Ok(()),
            other => other,
        }
    }

    /// Drops the empty list of views, so that the name of the empty database is free for a name
    /// that differs in case.
    pub(super) async fn drop_list_of_views(&mut self, name: &str) -> Result<(), Error> {
        let database = self.context.destination.database(name);
        let listed = listing::collections(database.reads()).await?;
        let [only] = listed.as_slice() else {
            return Ok(());
        };
        if only.get_str("name").ok() != Some(SYSTEM_VIEWS) {
            return Ok(());
        }
        let list = CollectionRef {
            namespace: Namespace::new(name, SYSTEM_VIEWS),
            uuid: destination::uuid_of(only).and_then(|hex| NamespaceDocument::uuid_of_id(&hex)),
        };
        self.intend(IntentKind::DropDatabase, &list.namespace)
            .write()
            .await?;
        let mut command = rawdoc! { "drop": SYSTEM_VIEWS };
        list.append_uuid(&mut command);
        match self.run(&database, command).await {
            Err(Error::Mongo(error)) if is_gone(&error) => Ok(()),
            other => other,
        }
    }
}

fn is_gone(error: &mongo::Error) -> bool {
    error.location(SYSTEM_VIEWS).is_some()
}

/// Whether a `listCollections` entry is a view.
pub(super) fn is_view(listed: &RawDocument) -> bool {
    listed.get_str("type").ok() == Some("view")
}
