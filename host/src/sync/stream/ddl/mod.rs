//! Applies DDL events, each in three steps. Everything before the event is applied when one gets here.
//!
//! 1. The *intent* is persisted, with the exact position before the event.
//! 2. The *effect*: commands that name the collection's UUID on the destination, so that the server
//!    tells whether it is there already.
//! 3. What the effect has changed is recorded in one transaction with the position after the event and
//!    the end of the intent.
//!
//! A replay after a crash begins at the DDL event itself, never before it, and finds by UUID what
//! was done. `create` has no second step: it is part of the transaction.
//!
//! No effect is guarded by the server against its own delay. So an intent with a command whose
//! answer was lost, and one that was pending when work began, does not end: it stays *in
//! flight* until commit, and what it names is compared and set right (`in_flight`).
//!
//! A collection is known by its UUID on the source, so an event never hits another collection
//! that has the same name by now. Views, which have none, are made at commit.

mod in_flight;
mod index;
mod intent;
mod rename;
mod view;

use std::{collections::HashSet, sync::Arc};

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::{Context, Error, freshness::Exactness, targets::Targets};
use crate::{
    metadata::{CopyState, IntentKind, NamespaceDocument, NamespaceKind, PositionDocument},
    model::{
        ErrorName, Namespace, OperatorError,
        event::{ChangeEvent, OpType},
        raw::Malformed,
    },
    mongo::{self, Change, DestinationDatabase, listing, write::CollectionRef},
    sync::{catalog, indexes, names::Names, relaxed},
};
pub(super) use in_flight::settle;
use intent::Intents;
pub(super) use intent::Numbers;

/// Events that tell of nothing that has to be done.
const PASSED_OVER: [&str; 4] = [
    "endOfTransaction",
    "startIndexBuild",
    "commitIndexBuild",
    "abortIndexBuild",
];

/// What a DDL event has led to: to be recorded together with the position after it.
pub(super) struct Applied {
    /// False: it was out of scope, and does not count.
    pub(super) in_scope: bool,
    /// Nothing is to be recorded where there are none.
    pub(super) changes: Vec<Change>,
}

/// Applies one DDL event. `before`: the exact position before it, if there is one.
pub(super) async fn apply(
    context: &Arc<Context>,
    targets: &mut Targets,
    exactness: &Exactness,
    event: &ChangeEvent<'_>,
    before: Option<PositionDocument>,
    numbers: &mut Numbers,
) -> Result<Applied, Error> {
    let mut ddl = Ddl {
        context,
        targets,
        exactness,
        event,
        intents: Intents::new(numbers, before),
        changes: Vec::new(),
    };
    let in_scope = match event.op_type {
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
    if in_scope {
        tracing::info!(op_type = event.op_name, namespace = %ddl.namespace(), cluster_time = %event.cluster_time, "DDL applied");
    }
    let Ddl {
        intents, changes, ..
    } = ddl;
    Ok(Applied {
        in_scope,
        changes: intents.end(&context.store, changes)?,
    })
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
    intents: Intents<'a>,
    /// What is to be recorded.
    changes: Vec<Change>,
}

impl<'e> Ddl<'_, 'e> {
    fn namespace(&self) -> Namespace {
        Namespace::new(self.event.database, self.event.collection)
    }

    fn description(&self) -> Result<&'e RawDocument, Error> {
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

    /// Records a namespace.
    fn put(&mut self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.changes
            .push(self.context.store.namespace_change(namespace)?);
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
            return self.put_view(source, destination, options);
        }
        if relaxed::is_capped(options) {
            // convertToCapped and cloneCollectionAsCapped fill it with documents of which no event tells.
            return self.copy_late(source, destination).await;
        }
        let listed = self.listed_on_source(&source).await?;
        let id_index = listed
            .as_deref()
            .and_then(|listed| listing::subdocument(listed, "idIndex"));
        let entry = catalog::Entry {
            kind: NamespaceKind::Collection,
            destination,
            uuid: self.event.uuid,
            // The event does not tell of the index of `_id`.
            options: relaxed::options(options, id_index)?,
            source,
            indexes: Vec::new(),
        };
        let mut namespace = entry.document();
        namespace.copy_state = CopyState::Ready;
        self.create_collection(&mut namespace).await?;
        self.put(&namespace)?;
        Ok(true)
    }

    /// The source's listing of the event's collection, if it still has this name.
    async fn listed_on_source(&self, name: &Namespace) -> Result<Option<RawDocumentBuf>, Error> {
        let database = self.context.source.database(&name.database);
        let found = listing::collection(&database, &name.collection).await?;
        let uuid = self.event.uuid.map(NamespaceDocument::id_of_uuid);
        Ok(found.filter(|found| indexes::uuid_of(found) == uuid))
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

    /// Creates the collection, in the transaction that records it. Its UUID is known afterwards.
    /// One that is there already was made by a release that recorded it later.
    async fn create_collection(&mut self, namespace: &mut NamespaceDocument) -> Result<(), Error> {
        let Namespace {
            database,
            collection,
        } = &namespace.destination;
        let there = self.destination(&namespace.destination);
        let there = listing::collection(there.reads(), collection).await?;
        match there {
            Some(found) if !view::is_view(&found) => {
                let uuid = indexes::uuid_of(&found);
                indexes::refuse_another(self.context, &namespace.id, uuid.as_ref()).await?;
                namespace.destination_uuid = uuid;
                return Ok(());
            }
            Some(_view) => self.drop_view_of(&namespace.destination).await?,
            None => {}
        }
        self.intend(IntentKind::Create, &namespace.destination)
            .write()
            .await?;
        self.changes.push(Change::Command {
            database: database.clone(),
            body: relaxed::create_command(collection, &namespace.options)?,
        });
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

    /// Drops a collection on the destination, if it is still there, and forgets it.
    async fn drop_collection(&mut self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.intend(IntentKind::Drop, &namespace.destination)
            .of(namespace)
            .write()
            .await?;
        self.drop_by_uuid(&indexes::on_destination(namespace))
            .await?;
        self.forget(namespace);
        Ok(())
    }

    /// Drops the collection of this UUID, whatever its name is by now.
    async fn drop_by_uuid(&mut self, collection: &CollectionRef) -> Result<(), Error> {
        let mut name = collection.namespace.collection.clone();
        loop {
            let mut command = rawdoc! { "drop": name.as_str() };
            collection.append_uuid(&mut command);
            let database = self.destination(&collection.namespace);
            match self.run(&database, command).await {
                Err(Error::Mongo(error)) => match error.whereabouts(&name) {
                    Some(mongo::Whereabouts::Renamed(actual)) => name = actual,
                    Some(mongo::Whereabouts::Gone) => return Ok(()),
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
        status.remove_collection(&namespace.source);
        if let Some(uuid) = namespace.uuid() {
            self.targets.remove(uuid);
        }
    }

    /// The collections have gone by events of their own, and an empty database with them. Views
    /// are forgotten; those that an earlier release has made are dropped. `dropDatabase` is not sent: it
    /// has no UUID, and a late one would take a later database with it (see `letters`).
    async fn drop_database(&mut self) -> Result<bool, Error> {
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

    /// Where the event's database goes as a whole, whatever its collections are called.
    fn renamed_database(&self) -> Result<Option<String>, Error> {
        let any = Namespace::new(self.event.database, "any");
        let destination = self.context.scope.destination(&any)?;
        Ok(destination.map(|destination| destination.database))
    }

    /// Index settings and capped sizes wait for commit, which reads them from
    /// the source. Everything else a collection's options hold is set now.
    async fn modify(&mut self) -> Result<bool, Error> {
        let description = self.description()?;
        if self.event.uuid.is_none() {
            return self.modify_view(description);
        }
        let Some(mut namespace) = self.document().await? else {
            return Ok(false);
        };
        let collection = indexes::on_destination(&namespace);
        let mut command = rawdoc! { "collMod": namespace.destination.collection.as_str() };
        let changed = relaxed::modified(&mut command, description)?;
        if !changed.is_empty() {
            self.intend(IntentKind::Modify, &namespace.destination)
                .of(&namespace)
                .write()
                .await?;
            collection.append_uuid(&mut command);
            let database = self.destination(&namespace.destination);
            self.run(&database, command).await?;
            namespace.options = relaxed::with_options(&namespace.options, &changed)?;
            self.put(&namespace)?;
        }
        Ok(true)
    }
}
