//! The phase "index building", and builds of single indexes.

use bson::{RawDocumentBuf, rawdoc};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Context, Error, Status,
    catalog::{
        destination::{on_destination, run, run_on, uuid_of},
        options::is_clustered,
    },
    restore::relaxation::{build_command, buildable_indexes},
};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::options::BuildIndexes,
    mongo::{DestinationDatabase, listing, write::CollectionRef},
    observe::failpoint,
};

/// Namespaces that are recorded as ready together.
const FINISHED_TOGETHER: usize = 100;

/// Collections whose indexes are built in parallel.
const PARALLEL_BUILDS: usize = 2;

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

/// Builds the indexes of every copied collection, and marks collections and views as ready. A
/// failed build is repeated and reported at commit.
pub(super) async fn build_all(context: &Context) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    let after_copy = context.options.build_indexes == BuildIndexes::AfterDataCopy;
    plan(context, &namespaces);
    let pending: Vec<_> = namespaces
        .into_iter()
        .filter(|n| n.copy_state == CopyState::Copied)
        .collect();
    let (views, collections): (Vec<_>, Vec<_>) = pending
        .into_iter()
        .partition(|n| n.kind == NamespaceKind::View);
    let (to_build, others): (Vec<_>, Vec<_>) = collections
        .into_iter()
        .partition(|namespace| after_copy && !namespace.indexes.is_empty());
    stream::iter(to_build)
        .map(|namespace| async move {
            context.check_cancelled()?;
            build_namespace(context, &namespace).await?;
            finish(context, vec![namespace]).await
        })
        .buffer_unordered(PARALLEL_BUILDS)
        .try_collect::<Vec<()>>()
        .await?;
    // Views are created at commit, so their names block no other namespace before.
    for together in [others, views].concat().chunks(FINISHED_TOGETHER) {
        finish(context, together.to_vec()).await?;
    }
    failpoint("indexes_built");
    Ok(())
}

/// Keeps clustered collections from expiring documents, where an earlier release created them with
/// the source's expiry. Commit restores the expiry.
pub(super) async fn relax_expiry(context: &Context) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    let expiring = namespaces.into_iter().filter(|namespace| {
        is_clustered(&namespace.options)
            && matches!(namespace.options.get("expireAfterSeconds"), Ok(Some(_)))
    });
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

async fn finish(context: &Context, mut namespaces: Vec<NamespaceDocument>) -> Result<(), Error> {
    for namespace in &mut namespaces {
        namespace.copy_state = CopyState::Ready;
    }
    context.store.put_namespaces(&namespaces).await?;
    let status = &context.status;
    for namespace in &namespaces {
        if namespace.kind == NamespaceKind::Collection {
            status.indexes_built(wanted(context.options.build_indexes, namespace));
        }
        status.with_collection(&namespace.source, |collection| collection.state = "ready");
    }
    Ok(())
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
                let index = index.get_str("name").unwrap_or_default();
                tracing::warn!(namespace = %namespace.source, index, error = %error, "index not built; commit tries again");
            }
        }
    }
    Ok(())
}
