//! The way back from a restore: what the restore has given to collections is relaxed again, before events are applied.
//!
//! Each step can be repeated, so a crash only means doing it again.

use bson::{RawDocument, RawDocumentBuf, cstr, rawdoc};

use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, PartitionDocument},
    mongo::{DestinationDatabase, code, listing, write::CollectionRef},
    observe::failpoint,
    sync::{
        Context, Error,
        catalog::{
            self,
            destination::{on_destination, run, run_on},
            indexes::secondary_indexes,
            options::is_on,
        },
        restore::relaxation::LARGE_CAPPED_BYTES,
    },
};

/// Relaxes all collections again, and drops the views that the restore has made.
pub(in crate::sync) async fn relax_again(context: &Context) -> Result<(), Error> {
    for mut namespace in context.store.namespaces().await? {
        match namespace.kind {
            NamespaceKind::View => drop_view(context, &namespace).await?,
            NamespaceKind::Collection if namespace.is_on_destination() => {
                if relax(context, &namespace).await? && namespace.copy_state == CopyState::Ready {
                    // The indexes are built again beside the stream.
                    namespace.copy_state = CopyState::Copied;
                    put_copied(context, namespace).await?;
                }
            }
            NamespaceKind::Collection => {}
        }
        failpoint("relaxed_again");
    }
    Ok(())
}

/// Persists a collection as copied. A collection that an event has created, or that a reverse has taken over, has no
/// partition, and gets one that is done: only collections with partitions wait for their indexes.
async fn put_copied(context: &Context, namespace: NamespaceDocument) -> Result<(), Error> {
    let known = context.store.partitions_of(&[&namespace.id]).await?;
    let whole = PartitionDocument {
        id: format!("{}:0", namespace.id),
        namespace_id: namespace.id.clone(),
        lower: None,
        upper: None,
        last_id: None,
        documents: 0,
        bytes: 0,
        done: true,
        begun: true,
        begun_at: None,
        // Every later event is of a later time.
        done_at: Some(context.record.get().start_time),
        compare: false,
        suspect: false,
    };
    let missing = if known.is_empty() {
        vec![whole]
    } else {
        Vec::new()
    };
    Ok(context.store.put_done(&missing, &[namespace]).await?)
}

/// Drops a view by its name. It is made at the next commit.
async fn drop_view(context: &Context, view: &NamespaceDocument) -> Result<(), Error> {
    let name = &view.destination;
    let database = context.destination.database(&name.database);
    let found = listing::collection(database.reads(), &name.collection).await?;
    let is_view = found.is_some_and(|found| found.get_str("type").ok() == Some("view"));
    if !is_view {
        return Ok(());
    }
    match run(&database, rawdoc! { "drop": name.collection.as_str() }).await {
        Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_NOT_FOUND) => Ok(()),
        other => other,
    }
}

/// Relaxes a collection. Returns whether indexes were dropped that have to be built again: a unique index has no way
/// back.
async fn relax(context: &Context, namespace: &NamespaceDocument) -> Result<bool, Error> {
    let name = namespace.destination.collection.as_str();
    let database = context
        .destination
        .database(&namespace.destination.database);
    let collection = on_destination(namespace);
    let found = match secondary_indexes(database.reads(), name).await {
        Err(error) if error.has_code(code::NAMESPACE_NOT_FOUND) => return Ok(false),
        other => other?,
    };
    let mut has_dropped = false;
    for index in &found {
        let index_name = index.get_str("name").unwrap_or_default();
        if is_on(index, "unique") {
            let command = rawdoc! { "dropIndexes": name, "index": index_name };
            run_on(&database, &collection, command).await?;
            has_dropped = true;
            continue;
        }
        for change in relaxing(index) {
            let command = rawdoc! { "collMod": name, "index": change };
            run_on(&database, &collection, command).await?;
        }
    }
    if is_on(&namespace.options, "capped") {
        relax_capped(&database, &collection).await?;
    }
    Ok(has_dropped)
}

/// Makes a capped collection large. The server sets `max` by `collMod`, also to no limit, and never removes it: a
/// collection without it stays so.
async fn relax_capped(
    database: &DestinationDatabase,
    collection: &CollectionRef,
) -> Result<(), Error> {
    let name = collection.namespace.collection.as_str();
    let Some(found) = listing::collection(database.reads(), name).await? else {
        return Ok(());
    };
    let mut command = rawdoc! { "collMod": name, "cappedSize": LARGE_CAPPED_BYTES };
    if matches!(catalog::options_of(&found)?.get("max"), Ok(Some(_))) {
        command.append(cstr!("cappedMax"), 0);
    }
    run_on(database, collection, command).await
}

/// The `collMod` changes that relax an index. Each stands alone: the server refuses some together.
fn relaxing(index: &RawDocument) -> Vec<RawDocumentBuf> {
    let name = index.get_str("name").unwrap_or_default();
    let mut changes = Vec::new();
    if is_on(index, "hidden") {
        changes.push(rawdoc! { "name": name, "hidden": false });
    }
    if is_on(index, "prepareUnique") {
        changes.push(rawdoc! { "name": name, "prepareUnique": false });
    }
    if matches!(index.get("expireAfterSeconds"), Ok(Some(_))) {
        changes.push(rawdoc! { "name": name, "expireAfterSeconds": i32::MAX });
    }
    changes
}
