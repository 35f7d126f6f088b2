//! Applies DDL events. Everything before the event is applied when one gets here.
//!
//! A collection is known by its UUID on the source, so an event never hits
//! another collection that has the same name by now. Each step can be repeated:
//! a crash may lie between it and the write of what it did. Whether a rename or
//! a drop has been done is told by the collection's UUID on the destination.

mod index;
mod rename;

use std::{collections::HashSet, sync::Arc};

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::{Context, Error, freshness::Exactness, targets::Targets};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::{
        ErrorName, Namespace, OperatorError,
        event::{ChangeEvent, OpType},
        raw::Malformed,
    },
    mongo::{self, DestinationDatabase, code, listing},
    sync::{catalog, indexes, names::Names, views},
};

/// Events that tell of nothing that has to be done.
const PASSED_OVER: [&str; 4] = [
    "endOfTransaction",
    "startIndexBuild",
    "commitIndexBuild",
    "abortIndexBuild",
];

/// Applies one DDL event; gives false if it was out of scope.
pub(super) async fn apply(
    context: &Arc<Context>,
    targets: &mut Targets,
    exactness: &Exactness,
    event: &ChangeEvent<'_>,
) -> Result<bool, Error> {
    let mut ddl = Ddl {
        context,
        targets,
        exactness,
        event,
    };
    let applied = match event.op_type {
        OpType::Create => ddl.create().await?,
        OpType::Drop => ddl.drop().await?,
        OpType::Rename => ddl.rename().await?,
        OpType::DropDatabase => ddl.drop_database().await?,
        OpType::CreateIndexes => ddl.create_indexes().await?,
        OpType::DropIndexes => ddl.drop_indexes().await?,
        OpType::Modify => ddl.modify().await?,
        OpType::Other if PASSED_OVER.contains(&event.op_name) => false,
        OpType::Other | OpType::Insert | OpType::Update | OpType::Replace | OpType::Delete => {
            return Err(unknown(event));
        }
    };
    if applied {
        tracing::info!(op_type = event.op_name, namespace = %ddl.namespace(), cluster_time = %event.cluster_time, "DDL applied");
    }
    Ok(applied)
}

fn unknown(event: &ChangeEvent<'_>) -> Error {
    OperatorError::new(
        ErrorName::ChangeEventNotSupported,
        format!(
            "The source reports a `{}` on {}.{}, which this release cannot apply. Exclude the collection and start again.",
            event.op_name, event.database, event.collection
        ),
    )
    .into()
}

struct Ddl<'a, 'e> {
    context: &'a Arc<Context>,
    targets: &'a mut Targets,
    exactness: &'a Exactness,
    event: &'a ChangeEvent<'e>,
}

impl Ddl<'_, '_> {
    fn namespace(&self) -> Namespace {
        Namespace::new(self.event.database, self.event.collection)
    }

    fn description(&self) -> Result<&RawDocument, Error> {
        let bytes = self.event.operation_description.ok_or(Malformed)?;
        Ok(RawDocument::from_bytes(bytes).map_err(mongo::Error::Bson)?)
    }

    fn destination(&self, namespace: &Namespace) -> DestinationDatabase {
        self.context.destination.database(&namespace.database)
    }

    /// The document of the event's collection, if it is in scope.
    async fn document(&self) -> Result<Option<NamespaceDocument>, Error> {
        let Some(target) = self.targets.get(self.event.uuid) else {
            return Ok(None);
        };
        Ok(self
            .context
            .store
            .namespace(&NamespaceDocument::id_of_uuid(target.uuid))
            .await?)
    }

    async fn put(&mut self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.context.store.put_namespace(namespace).await?;
        self.targets.insert(self.context, namespace)
    }

    async fn create(&mut self) -> Result<bool, Error> {
        let source = self.namespace();
        let Some(destination) = self.context.scope.destination(&source)? else {
            return Ok(false);
        };
        if self.targets.get(self.event.uuid).is_some() {
            return Ok(false);
        }
        self.refuse_collision(&source, &destination).await?;
        let options = self.description()?;
        catalog::refuse_unfaithful(&source, options)?;
        if self.event.uuid.is_none() {
            return self.put_view(source, destination, options).await;
        }
        let entry = catalog::Entry {
            kind: NamespaceKind::Collection,
            source,
            destination,
            uuid: self.event.uuid,
            options: without(options, &["idIndex"])?,
            indexes: Vec::new(),
        };
        let mut namespace = entry.document();
        namespace.copy_state = CopyState::Ready;
        self.create_collection(&mut namespace).await?;
        self.put(&namespace).await?;
        Ok(true)
    }

    /// Creates a view, or brings it to another definition.
    async fn put_view(
        &self,
        source: Namespace,
        destination: Namespace,
        options: &RawDocument,
    ) -> Result<bool, Error> {
        let scope = &self.context.scope;
        let entry = catalog::Entry {
            kind: NamespaceKind::View,
            options: views::on_destination(scope, &source, &destination, options)?,
            source,
            destination,
            uuid: None,
            indexes: Vec::new(),
        };
        let mut view = entry.document();
        view.copy_state = CopyState::Ready;
        indexes::create_view(self.context, &view).await?;
        self.context.store.put_namespace(&view).await?;
        Ok(true)
    }

    /// Refuses a name that another namespace has on the destination by now. Names can only meet
    /// where some are changed.
    async fn refuse_collision(
        &self,
        source: &Namespace,
        destination: &Namespace,
    ) -> Result<(), Error> {
        if source == destination && !self.targets.has_renamed() {
            return Ok(());
        }
        let own = self.event.uuid.map(NamespaceDocument::id_of_uuid);
        let known = self.context.store.namespaces().await?;
        known
            .iter()
            .filter(|other| other.source != *source && Some(&other.id) != own.as_ref())
            .map(|other| (&other.source, &other.destination))
            .chain([(source, destination)])
            .try_fold(Names::default(), Names::take)?;
        Ok(())
    }

    /// A collection that is there already is what a crashed attempt has made.
    async fn create_collection(&self, namespace: &mut NamespaceDocument) -> Result<(), Error> {
        let name = namespace.destination.clone();
        let command = indexes::create_command(&name.collection, &namespace.options)?;
        match indexes::run(&self.destination(&name), command).await {
            Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_EXISTS) => {}
            other => other?,
        }
        namespace.destination_uuid =
            indexes::destination_uuid(self.context, &name.database, &name.collection).await?;
        Ok(())
    }

    async fn drop(&mut self) -> Result<bool, Error> {
        if self.event.uuid.is_none() {
            return self.drop_view().await;
        }
        let Some(namespace) = self.document().await? else {
            return Ok(false);
        };
        self.drop_collection(&namespace).await?;
        Ok(true)
    }

    async fn drop_view(&self) -> Result<bool, Error> {
        let source = self.namespace();
        let Some(destination) = self.context.scope.destination(&source)? else {
            return Ok(false);
        };
        let database = self.destination(&destination);
        let found = listing::collection(database.reads(), &destination.collection).await?;
        if found.is_some_and(|found| found.get_str("type").ok() == Some("view")) {
            drop_namespace(&database, &destination.collection).await?;
        }
        self.context
            .store
            .remove_namespace(&NamespaceDocument::id_of_view(&source))
            .await?;
        Ok(true)
    }

    /// Drops a collection on the destination, if it is still there, and forgets it.
    async fn drop_collection(&mut self, namespace: &NamespaceDocument) -> Result<(), Error> {
        if let Some(name) = self.current_name(namespace).await? {
            drop_namespace(&self.destination(&namespace.destination), &name).await?;
        }
        self.forget(namespace).await
    }

    async fn forget(&mut self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.context.store.remove_namespace(&namespace.id).await?;
        let status = &self.context.status;
        self.context.quarantine.forget(status, &namespace.id);
        status.remove_collection(&namespace.source);
        if let Some(uuid) = namespace.uuid() {
            self.targets.remove(uuid);
        }
        Ok(())
    }

    /// What the collection is called on the destination now; `None` if it is gone.
    async fn current_name(&self, namespace: &NamespaceDocument) -> Result<Option<String>, Error> {
        let database = self.destination(&namespace.destination);
        let listed = listing::collections(database.reads()).await?;
        let entry = listed
            .iter()
            .find(|entry| indexes::uuid_of(entry) == namespace.destination_uuid);
        Ok(entry
            .and_then(|entry| entry.get_str("name").ok())
            .map(str::to_owned))
    }

    /// The collections have gone by events of their own; views have not. What is left is the name,
    /// which stands in the way of the same name in other letters.
    async fn drop_database(&mut self) -> Result<bool, Error> {
        let known = self.context.store.namespaces().await?;
        let views = known.iter().filter(|known| {
            known.kind == NamespaceKind::View && known.source.database == self.event.database
        });
        let mut names = HashSet::from([self.event.database.to_owned()]);
        let mut dropped = false;
        for view in views {
            let database = self.destination(&view.destination);
            drop_namespace(&database, &view.destination.collection).await?;
            self.context.store.remove_namespace(&view.id).await?;
            names.insert(view.destination.database.clone());
            dropped = true;
        }
        names.extend(self.renamed_database()?);
        for name in names {
            self.drop_if_empty(&name).await?;
        }
        Ok(dropped)
    }

    /// Where the event's database goes as a whole, whatever its collections are called.
    fn renamed_database(&self) -> Result<Option<String>, Error> {
        let any = Namespace::new(self.event.database, "any");
        let destination = self.context.scope.destination(&any)?;
        Ok(destination.map(|destination| destination.database))
    }

    async fn drop_if_empty(&self, name: &str) -> Result<(), Error> {
        let database = self.context.destination.database(name);
        let left = listing::collections(database.reads()).await?;
        let is_empty = left
            .iter()
            .all(|entry| entry.get_str("name").ok() == Some("system.views"));
        if is_empty {
            let command = rawdoc! { "dropDatabase": 1, "writeConcern": { "w": "majority" } };
            indexes::run(&database, command).await?;
        }
        Ok(())
    }

    /// Index settings and capped sizes wait for commit, which reads them from
    /// the source. Everything else a collection's options hold is set now.
    async fn modify(&mut self) -> Result<bool, Error> {
        let description = self.description()?;
        if self.event.uuid.is_none() {
            return self.modify_view(description).await;
        }
        let Some(namespace) = self.document().await? else {
            return Ok(false);
        };
        let mut command = rawdoc! { "collMod": namespace.destination.collection.as_str() };
        let mut changes = false;
        for option in description {
            let (name, value) = option.map_err(mongo::Error::Bson)?;
            if !["index", "cappedSize", "cappedMax"].contains(&name.as_str()) {
                command.append(name, value);
                changes = true;
            }
        }
        if changes {
            indexes::run(&self.destination(&namespace.destination), command).await?;
        }
        Ok(true)
    }

    async fn modify_view(&self, description: &RawDocument) -> Result<bool, Error> {
        let source = self.namespace();
        match self.context.scope.destination(&source)? {
            Some(destination) => self.put_view(source, destination, description).await,
            None => Ok(false),
        }
    }
}

/// Drops a collection or view; one that is gone is dropped.
async fn drop_namespace(database: &DestinationDatabase, name: &str) -> Result<(), Error> {
    match indexes::run(
        database,
        rawdoc! { "drop": name, "writeConcern": { "w": "majority" } },
    )
    .await
    {
        Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_NOT_FOUND) => Ok(()),
        other => other,
    }
}

fn without(document: &RawDocument, names: &[&str]) -> Result<RawDocumentBuf, Error> {
    let mut kept = RawDocumentBuf::new();
    for element in document {
        let (name, value) = element.map_err(mongo::Error::Bson)?;
        if !names.contains(&name.as_str()) {
            kept.append(name, value);
        }
    }
    Ok(kept)
}
