//! Builds of indexes on the destination.

use bson::{RawDocumentBuf, rawdoc};

use super::{
    Context, Error, Status,
    catalog::{
        destination::{on_destination, run, run_on, uuid_of},
        indexes::secondary_indexes,
        options::is_clustered,
    },
    restore::{
        difference::is_same_but_relaxed,
        relaxation::{build_command, buildable_indexes},
    },
};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::options::BuildIndexes,
    mongo::{DestinationDatabase, code, listing, write::CollectionRef},
};

/// Builds of a collection's indexes that are aborted for one command, one after another. A
/// `createIndexes` of a builder that is gone waits at the server for the build before it, and begins
/// when that is aborted.
pub(super) const MAX_ABORTED: u32 = 100;

/// Builds indexes with these specifications.
pub(super) async fn build(
    database: &DestinationDatabase,
    collection: &CollectionRef,
    specs: &[RawDocumentBuf],
) -> Result<(), Error> {
    if specs.is_empty() {
        return Ok(());
    }
    run(database, build_command(collection, specs)).await
}

/// Brings the indexes of a copied collection to its record: others are dropped, missing ones built.
/// A failed build is repeated and reported at commit.
///
/// Cancel safe: the server goes on with a build, and the next call waits for it.
pub(super) async fn build_recorded(
    context: &Context,
    namespace: &NamespaceDocument,
) -> Result<(), Error> {
    // Commit compares the indexes of every collection, also of one that lost its last index.
    if context.options.build_indexes == BuildIndexes::Never || namespace.indexes.is_empty() {
        return Ok(());
    }
    match drop_unrecorded(context, namespace).await {
        // Dropped before a kill: the event comes again.
        Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_NOT_FOUND) => return Ok(()),
        other => other?,
    }
    build_namespace(context, namespace).await
}

/// Drops indexes that the collection's record does not have, or has otherwise: a build was under way
/// when their drop was recorded.
async fn drop_unrecorded(context: &Context, namespace: &NamespaceDocument) -> Result<(), Error> {
    let name = &namespace.destination;
    let database = context.destination.database(&name.database);
    for index in secondary_indexes(database.reads(), &name.collection).await? {
        let mut recorded = namespace.indexes.iter();
        if recorded.any(|recorded| is_same_but_relaxed(recorded, &index)) {
            continue;
        }
        let index = index.get_str("name").unwrap_or_default();
        let command = rawdoc! { "dropIndexes": name.collection.as_str(), "index": index };
        match run_on(&database, &on_destination(namespace), command).await {
            Err(Error::Mongo(error)) if error.has_code(code::INDEX_NOT_FOUND) => {}
            // A build of an earlier host has begun late. Commit drops what is not recorded.
            Err(Error::Mongo(error)) if error.has_code(code::BACKGROUND_OPERATION) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Keeps clustered collections from expiring documents, where an earlier release created them with
/// the source's expiry. Commit restores the expiry.
pub(super) async fn relax_expiry(context: &Context) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    // An expiry that a `collMod` event has set is not recorded, and an undone commit has restored it.
    let expiring = namespaces
        .into_iter()
        .filter(|namespace| is_clustered(&namespace.options));
    for namespace in expiring {
        let name = &namespace.destination;
        let database = context.destination.database(&name.database);
        let found = listing::collection(database.reads(), &name.collection).await?;
        let expires = found
            .as_deref()
            .and_then(|found| listing::subdocument(found, "options"));
        let expires =
            expires.is_some_and(|found| matches!(found.get("expireAfterSeconds"), Ok(Some(_))));
        if found.as_deref().and_then(uuid_of) == namespace.destination_uuid && expires {
            let command =
                rawdoc! { "collMod": name.collection.as_str(), "expireAfterSeconds": "off" };
            run_on(&database, &on_destination(&namespace), command).await?;
        }
    }
    Ok(())
}

/// Shows the number of indexes to build, and the indexes of finished collections as built.
pub(super) fn plan(context: &Context, namespaces: &[NamespaceDocument]) {
    show(&context.status, context.options.build_indexes, namespaces);
}

/// Like `plan`, for a sync whose work has not begun in this process.
pub fn show(status: &Status, build_indexes: BuildIndexes, namespaces: &[NamespaceDocument]) {
    let collections = || {
        namespaces
            .iter()
            .filter(|namespace| namespace.kind == NamespaceKind::Collection)
    };
    let indexes = collections()
        .map(|namespace| wanted(build_indexes, namespace))
        .sum();
    status.plan_indexes(collections().count() as u64, indexes);
    for namespace in collections().filter(|namespace| namespace.copy_state == CopyState::Ready) {
        status.indexes_built(wanted(build_indexes, namespace));
    }
}

/// The number of indexes that are built for a collection before change events are applied.
fn wanted(build_indexes: BuildIndexes, namespace: &NamespaceDocument) -> u64 {
    match build_indexes {
        BuildIndexes::Never => 0,
        BuildIndexes::AfterDataCopy | BuildIndexes::BeforeDataCopy => {
            namespace.indexes.len() as u64
        }
    }
}

/// Shows a collection as ready.
pub(super) fn show_ready(context: &Context, namespace: &NamespaceDocument) {
    let status = &context.status;
    status.indexes_built(wanted(context.options.build_indexes, namespace));
    status
        .collections
        .change(&namespace.source, |collection| collection.state = "ready");
}

/// Builds a collection's indexes together, or one by one if that fails.
pub(super) async fn build_namespace(
    context: &Context,
    namespace: &NamespaceDocument,
) -> Result<(), Error> {
    let database = context
        .destination
        .database(&namespace.destination.database);
    let collection = on_destination(namespace);
    let specs = buildable_indexes(&namespace.options, &namespace.indexes, &[])?;
    if let Err(error) = build(&database, &collection, &specs).await {
        error.unless_fatal()?;
        for index in &specs {
            if let Err(error) = build(&database, &collection, std::slice::from_ref(index)).await {
                let error = error.unless_fatal()?;
                note_failure(&context.status, namespace, index, &error);
            }
        }
    }
    Ok(())
}

/// Notes that an index was not built. The commit tries again, and reports what fails then.
pub(super) fn note_failure(
    status: &Status,
    namespace: &NamespaceDocument,
    index: &RawDocumentBuf,
    error: &Error,
) {
    let index = index.get_str("name").unwrap_or_default();
    tracing::warn!(namespace = %namespace.source, index, error = %error, "index not built; commit tries again");
    let collections = &status.collections;
    collections.index_failed(&namespace.source, index, &error.to_string());
}
