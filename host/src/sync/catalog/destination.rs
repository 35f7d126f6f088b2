//! Collections of the destination, and DDL commands on them.

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use crate::{
    metadata::{self, NamespaceDocument},
    mongo::{self, Destination, DestinationDatabase, listing, write::CollectionRef},
    sync::Error,
};

/// The collection of a namespace, by its name and UUID on the destination.
pub(crate) fn on_destination(namespace: &NamespaceDocument) -> CollectionRef {
    CollectionRef {
        namespace: namespace.destination.clone(),
        uuid: namespace.destination_uuid(),
    }
}

/// Runs a repeatable DDL command with write concern majority.
pub(crate) async fn run(
    database: &DestinationDatabase,
    mut command: RawDocumentBuf,
) -> Result<(), Error> {
    command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
    Ok(database.run(command).await?)
}

/// Runs a repeatable DDL command on a collection, by its UUID.
pub(crate) async fn run_on(
    database: &DestinationDatabase,
    collection: &CollectionRef,
    mut command: RawDocumentBuf,
) -> Result<(), Error> {
    collection.append_uuid(&mut command);
    run(database, command).await
}

/// Drops a collection, by its UUID.
pub(crate) async fn drop(
    database: &DestinationDatabase,
    collection: &CollectionRef,
) -> Result<(), Error> {
    run(
        database,
        drop_command(collection, &collection.namespace.collection),
    )
    .await
}

/// The command that drops a collection under the name `name`, by its UUID.
///
/// The server takes no UUID for buckets (72, "cannot be passed when dropping a time-series collection"). A late command
/// can drop a later collection of that name, and that is never silent: all writes name its UUID, and are refused.
pub(crate) fn drop_command(collection: &CollectionRef, name: &str) -> RawDocumentBuf {
    let mut command = rawdoc! { "drop": name };
    if collection.namespace.time_series().is_none() {
        collection.append_uuid(&mut command);
    }
    command
}

/// The UUID of a collection on the destination, in hex; `None` if the collection does not exist.
pub(crate) async fn destination_uuid(
    destination: &Destination,
    database: &str,
    collection: &str,
) -> Result<Option<String>, Error> {
    let database = destination.database(database);
    let found = listing::collection(database.reads(), collection).await?;
    Ok(found.and_then(|found| uuid_of(&found)))
}

/// Refuses a collection that belongs to another namespace than `id`: a late rename has given it the
/// name.
///
/// # Errors
/// The server's error for a collection under another name, so that the work starts again and
/// restores the name.
pub(crate) async fn refuse_another(
    store: &metadata::Store,
    id: &str,
    uuid: Option<&String>,
) -> Result<(), Error> {
    let known = store.namespaces().await?;
    let is_another = |known: &NamespaceDocument| {
        known.id != id && uuid.is_some() && known.destination_uuid.as_ref() == uuid
    };
    match known.into_iter().find(is_another) {
        None => Ok(()),
        Some(another) => {
            let error = mongo::ServerError::another_name(&another.destination);
            Err(mongo::Error::Statement(error).into())
        }
    }
}

/// The UUID in a `listCollections` entry, in hex.
pub(crate) fn uuid_of(entry: &RawDocument) -> Option<String> {
    let uuid = listing::subdocument(entry, "info")?
        .get_binary("uuid")
        .ok()?
        .bytes
        .try_into()
        .ok()?;
    Some(NamespaceDocument::id_of_uuid(uuid))
}
