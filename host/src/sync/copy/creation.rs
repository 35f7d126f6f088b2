//! The creation of a copy's collections on the destination, many in one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bson::RawDocumentBuf;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::partition;
use crate::{
    metadata::{CopyState, NamespaceDocument, NewCopy},
    model::{Namespace, options::BuildIndexes},
    mongo::{code, listing, write::CollectionRef},
    observe::failpoint,
    sync::{
        Context, Error,
        catalog::{database_names, destination, time_series},
        index_build,
        restore::relaxation,
    },
};

/// Collections that are created together.
const TOGETHER: usize = 50;

/// Attempts to create a collection of buckets whose name is in use.
const MAX_CREATED: u32 = 3;

/// Requests to a cluster that are in parallel while many collections are planned.
pub(super) const READERS: usize = 16;

/// A collection of the copy, and its size on the source.
pub(super) type CopyCandidate = (NamespaceDocument, listing::CollectionSize);

/// Creates pending collections, and records the UUIDs of all collections.
pub(super) async fn create_all(
    context: &Arc<Context>,
    collections: &mut [CopyCandidate],
) -> Result<(), Error> {
    let mut lacking: Vec<&mut CopyCandidate> = collections
        .iter_mut()
        .filter(|(namespace, _)| {
            namespace.copy_state == CopyState::Pending || namespace.destination_uuid.is_none()
        })
        .collect();
    for chunk in lacking.chunks_mut(TOGETHER) {
        context.check_cancelled()?;
        let pending = chunk
            .iter_mut()
            .filter(|(namespace, _)| namespace.copy_state == CopyState::Pending);
        let mut pending: Vec<_> = pending.collect();
        create(context, &mut pending).await?;
        failpoint("copies_begun");
        find_uuids(context, chunk).await?;
        prepare(context, chunk).await?;
    }
    Ok(())
}

async fn create(context: &Context, pending: &mut [&mut &mut CopyCandidate]) -> Result<(), Error> {
    if pending.is_empty() {
        return Ok(());
    }
    let mut sized: Vec<CopyCandidate> = pending.iter().map(|sized| (***sized).clone()).collect();
    compare_existing(context, &mut sized).await?;
    let earlier = suspects(context, &sized).await?;
    let copies = stream::iter(sized)
        .map(|(namespace, size)| {
            let is_suspect = earlier.contains(&namespace.id);
            new_copy(context, namespace, size, is_suspect).boxed()
        })
        .buffered(READERS)
        .try_collect::<Vec<_>>()
        .await?;
    match context.store.begin_copies(&copies).await {
        Ok(()) => {}
        // A conflict of one collection fails the transaction of all, so they are created one by
        // one.
        Err(error)
            if error.has_code(code::NAMESPACE_EXISTS)
                || error.has_code(code::DATABASE_DIFFER_CASE) =>
        {
            for copy in &copies {
                begin(context, copy).await?;
            }
        }
        Err(error) => return Err(error.into()),
    }
    for (sized, copy) in pending.iter_mut().zip(copies) {
        sized.0 = copy.namespace;
    }
    Ok(())
}

/// Has only collections compared that the destination has by their UUID. Another client, or a late drop, may have dropped
/// one: it is copied from the beginning.
async fn compare_existing(
    context: &Context,
    collections: &mut [CopyCandidate],
) -> Result<(), Error> {
    let compared = collections.iter_mut().map(|(namespace, _)| namespace);
    let compared = compared.filter(|it| it.compare && it.destination_uuid.is_some());
    let compared: Vec<&mut NamespaceDocument> = compared.collect();
    let uuids = uuids_of(context, compared.iter().map(|it| &it.destination)).await?;
    for namespace in compared {
        let found = uuids.get(&namespace.destination);
        namespace.compare = found.is_some_and(|found| *found == namespace.destination_uuid);
    }
    Ok(())
}

/// The ids of namespaces with a suspect partition. A late insert of their earlier copy may arrive
/// after a comparison, so their new partitions are suspect too.
async fn suspects(
    context: &Context,
    collections: &[CopyCandidate],
) -> Result<HashSet<String>, Error> {
    let compared = collections
        .iter()
        .filter(|(namespace, _)| namespace.compare);
    let ids: Vec<&str> = compared
        .map(|(namespace, _)| namespace.id.as_str())
        .collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let partitions = context.store.partitions_of(&ids).await?;
    let suspect = partitions.into_iter().filter(|(_, partitions)| {
        partitions
            .iter()
            .any(|partition| partition.suspect || partition.begun)
    });
    Ok(suspect.map(|(id, _)| id).collect())
}

async fn new_copy(
    context: &Context,
    mut namespace: NamespaceDocument,
    size: listing::CollectionSize,
    is_suspect: bool,
) -> Result<NewCopy, Error> {
    let mut partitions = partition::split(context, &namespace, size).await?;
    for partition in &mut partitions {
        (partition.compare, partition.suspect) = (namespace.compare, is_suspect);
    }
    namespace.copy_state = CopyState::Copying;
    let create = if namespace.compare {
        None
    } else {
        namespace.destination_uuid = None;
        let name = &namespace.destination.collection;
        let create = relaxation::create_command(name, &namespace.options)?;
        match time_series::holds_buckets(&namespace.options) {
            true => {
                create_buckets(context, &namespace, create).await?;
                None
            }
            false => Some(create),
        }
    };
    Ok(NewCopy {
        namespace,
        partitions,
        create,
    })
}

/// Creates a collection of buckets, which the server refuses in a transaction (263). A copy that was begun and not
/// recorded has left an empty one, and a collection that is to be copied again has documents: both are dropped.
async fn create_buckets(
    context: &Context,
    namespace: &NamespaceDocument,
    create: RawDocumentBuf,
) -> Result<(), Error> {
    let database = &namespace.destination.database;
    let on = context.destination.database(database);
    for _ in 0..MAX_CREATED {
        match destination::run(&on, create.clone()).await {
            Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_EXISTS) => {
                drop_existing(context, namespace).await?;
            }
            Err(Error::Mongo(error))
                if database_names::free_database_name(&context.destination, database, &error)
                    .await? => {}
            other => {
                other?;
                failpoint("buckets_created");
                return Ok(());
            }
        }
    }
    destination::run(&on, create).await
}

/// Creates a collection.
///
/// The destination was empty at the start, so an existing collection with the name of a pending
/// collection is either to be copied again, or the leftover of an earlier release.
async fn begin(context: &Context, copy: &NewCopy) -> Result<(), Error> {
    let copies = std::slice::from_ref(copy);
    let database = &copy.namespace.destination.database;
    match context.store.begin_copies(copies).await {
        Err(error) if error.has_code(code::NAMESPACE_EXISTS) => {
            drop_existing(context, &copy.namespace).await?;
            Ok(context.store.begin_copies(copies).await?)
        }
        Err(error)
            if database_names::free_database_name(&context.destination, database, &error)
                .await? =>
        {
            Ok(context.store.begin_copies(copies).await?)
        }
        other => Ok(other?),
    }
}

/// Records the UUIDs of collections that have none in their records.
pub(super) async fn find_lacking_uuids(
    context: &Context,
    collections: &mut [CopyCandidate],
) -> Result<(), Error> {
    let lacking = collections.iter_mut();
    let mut lacking: Vec<_> = lacking
        .filter(|(namespace, _)| namespace.destination_uuid.is_none())
        .collect();
    match lacking.is_empty() {
        true => Ok(()),
        false => find_uuids(context, &mut lacking).await,
    }
}

/// Records the UUIDs that the collections have on the destination.
async fn find_uuids(
    context: &Context,
    collections: &mut [&mut CopyCandidate],
) -> Result<(), Error> {
    let names = collections.iter().map(|sized| &sized.0.destination);
    let mut uuids = uuids_of(context, names).await?;
    for (namespace, _) in collections.iter_mut().map(|sized| &mut **sized) {
        namespace.destination_uuid = uuids.remove(&namespace.destination).flatten();
    }
    let namespaces: Vec<_> = collections.iter().map(|sized| sized.0.clone()).collect();
    Ok(context.store.put_namespaces(&namespaces).await?)
}

/// The UUIDs of the collections with these names on the destination, listed once a database.
async fn uuids_of(
    context: &Context,
    names: impl Iterator<Item = &Namespace>,
) -> Result<HashMap<Namespace, Option<String>>, Error> {
    let mut by_database: HashMap<String, Vec<String>> = HashMap::new();
    for name in names.cloned() {
        let of_database = by_database.entry(name.database).or_default();
        of_database.push(name.collection);
    }
    let mut uuids = HashMap::new();
    for (database, names) in by_database {
        let reads = context.destination.database(&database);
        for found in listing::collections_named(reads.reads(), &names).await? {
            let name = found.get_str("name").unwrap_or_default();
            let name = Namespace::new(database.as_str(), name);
            uuids.insert(name, destination::uuid_of(&found));
        }
    }
    Ok(uuids)
}

async fn prepare(context: &Context, collections: &[&mut CopyCandidate]) -> Result<(), Error> {
    for (namespace, _) in collections.iter().map(|sized| &**sized) {
        if context.options.build_indexes == BuildIndexes::BeforeDataCopy {
            index_build::build_namespace(context, namespace).await?;
        }
        context
            .status
            .collections
            .change(&namespace.source, |collection| collection.state = "copying");
    }
    Ok(())
}

/// Drops the collection, by its UUID, or the view that has the namespace's name on the destination.
async fn drop_existing(context: &Context, namespace: &NamespaceDocument) -> Result<(), Error> {
    let name = &namespace.destination;
    let database = context.destination.database(&name.database);
    let uuid =
        destination::destination_uuid(&context.destination, &name.database, &name.collection)
            .await?;
    destination::refuse_another(&context.store, &namespace.id, uuid.as_ref()).await?;
    let existing = CollectionRef {
        uuid: uuid.and_then(|hex| NamespaceDocument::uuid_of_id(&hex)),
        namespace: name.clone(),
    };
    match destination::drop(&database, &existing).await {
        // Dropped by an attempt whose answer was lost.
        Err(Error::Mongo(error)) if error.location(&name.collection).is_some() => Ok(()),
        other => other,
    }
}
