//! The commands of a resync on the destination. Each names a collection's UUID, so that the server
//! tells whether it has been done.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};

use crate::{
    model::Namespace,
    mongo::{self, CollectionLocation, code, listing, write::CollectionRef},
    sync::{Context, Error, catalog::destination, index_build::MAX_ABORTED},
};

/// The pause before a command is sent again that a build has blocked: a build that begins is listed a
/// moment later.
const PAUSE: Duration = Duration::from_millis(20);

/// The effects of a resync, and whether any of them may arrive again.
pub(super) struct Effects<'c> {
    context: &'c Context,
    /// The answer of a command was lost, or it was sent again.
    repeated: AtomicBool,
}

impl<'c> Effects<'c> {
    /// No effect yet.
    pub(super) fn new(context: &'c Context) -> Self {
        Self {
            context,
            repeated: AtomicBool::new(false),
        }
    }

    /// Whether a command may still arrive.
    pub(super) fn may_arrive(&self) -> bool {
        self.repeated.load(Relaxed)
    }

    /// Drops a collection under its current name, or a view, which has no UUID.
    pub(super) async fn drop(&self, collection: &CollectionRef) -> Result<(), Error> {
        let mut at = collection.namespace.clone();
        loop {
            let command = destination::drop_command(collection, &at.collection);
            match self.run(&at.database, command).await {
                Err(Error::Mongo(error)) => match error.location(&at.collection) {
                    Some(CollectionLocation::Renamed(actual)) => at.collection = actual,
                    Some(CollectionLocation::Gone) => return Ok(()),
                    None => return Err(error.into()),
                },
                other => return other,
            }
        }
    }

    /// Renames a collection within its database.
    pub(super) async fn rename(
        &self,
        collection: &CollectionRef,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        let Namespace { database, .. } = &collection.namespace;
        let mut command = rawdoc! {
            "renameCollection": format!("{database}.{from}"),
            "to": format!("{database}.{to}"),
        };
        collection.append_uuid(&mut command);
        let collection = CollectionRef {
            namespace: Namespace::new(database, from),
            uuid: collection.uuid,
        };
        match self.run_over_builds("admin", &collection, command).await {
            // Done by an attempt whose answer was lost.
            Err(Error::Mongo(error))
                if error.location(from) == Some(CollectionLocation::Renamed(to.to_owned())) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Changes options of a collection.
    pub(super) async fn modify(
        &self,
        collection: &CollectionRef,
        changes: &RawDocument,
    ) -> Result<(), Error> {
        let mut command = rawdoc! { "collMod": collection.namespace.collection.as_str() };
        for change in changes {
            let (option, value) = change.map_err(mongo::Error::Bson)?;
            command.append(option, value);
        }
        collection.append_uuid(&mut command);
        let Namespace { database, .. } = &collection.namespace;
        self.run_over_builds(database, collection, command).await
    }

    /// Drops an index, if the collection has it.
    pub(super) async fn drop_index(
        &self,
        collection: &CollectionRef,
        index: &str,
    ) -> Result<(), Error> {
        let mut names = RawArrayBuf::new();
        names.push(index);
        let command = drop_indexes(collection, names);
        let Namespace { database, .. } = &collection.namespace;
        match self.run_over_builds(database, collection, command).await {
            Err(Error::Mongo(error)) if error.has_code(code::INDEX_NOT_FOUND) => Ok(()),
            other => other,
        }
    }

    /// Aborts builds of indexes, which keep a collection from being renamed or changed. A build of a
    /// host that is gone goes on at the server.
    pub(super) async fn abort_builds(&self, collection: &CollectionRef) -> Result<(), Error> {
        let name = &collection.namespace;
        let database = self.context.destination.database(&name.database);
        for build in listing::index_builds(database.reads(), &name.collection).await? {
            let mut names = RawArrayBuf::new();
            build.iter().for_each(|index| names.push(index.as_str()));
            let abort = drop_indexes(collection, names);
            match self.run(&name.database, abort).await {
                // Done, or the next build has begun.
                Err(Error::Mongo(error))
                    if error.has_code(code::INDEX_NOT_FOUND)
                        || error.has_code(code::BACKGROUND_OPERATION) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Like [`Self::run`], for a command that builds of the collection's indexes block. They are
    /// aborted.
    async fn run_over_builds(
        &self,
        database: &str,
        collection: &CollectionRef,
        command: RawDocumentBuf,
    ) -> Result<(), Error> {
        for _ in 0..MAX_ABORTED {
            match self.run(database, command.clone()).await {
                Err(Error::Mongo(error)) if error.has_code(code::BACKGROUND_OPERATION) => {}
                other => return other,
            }
            self.abort_builds(collection).await?;
            tokio::time::sleep(PAUSE).await;
        }
        self.run(database, command).await
    }

    async fn run(&self, database: &str, mut command: RawDocumentBuf) -> Result<(), Error> {
        command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
        let database = self.context.destination.database(database);
        let mut repeated = false;
        let run = database.run_reporting_repeats(command, &mut repeated).await;
        self.repeated.fetch_or(repeated, Relaxed);
        Ok(run?)
    }
}

fn drop_indexes(collection: &CollectionRef, names: RawArrayBuf) -> RawDocumentBuf {
    let name = collection.namespace.collection.as_str();
    let mut command = rawdoc! { "dropIndexes": name, "index": names };
    collection.append_uuid(&mut command);
    command
}
