//! The plan of collections: they are created on the destination, and split into partitions.

use std::{collections::HashMap, sync::Arc};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{
    creation::{self, CopyCandidate, READERS},
    progress,
    report::{CopyReport, Reports},
};
use crate::{
    metadata::{CopyState, NamespaceDocument, PartitionDocument},
    model::event::CollectionUuid,
    mongo::listing,
    sync::{Context, Error, partitions::Stay},
};

/// Plans pending collections together, and reports them.
pub(super) async fn plan(
    context: &Arc<Context>,
    taken: Vec<(NamespaceDocument, Stay)>,
    reports: &Reports,
) -> Result<(), Error> {
    let (namespaces, _stays): (Vec<_>, Vec<Stay>) = taken.into_iter().unzip();
    let (collections, partitions) = planned(context, namespaces).await?;
    let on_destination = collections.iter().filter_map(|(namespace, _)| {
        let uuid = namespace.uuid()?;
        Some((uuid, namespace.destination_uuid.clone()))
    });
    // Reported before its partitions can be, so before the map of partitions has these UUIDs.
    let _ = reports.send(CopyReport::Planned(on_destination.collect()));
    put(context, collections, partitions);
    Ok(())
}

/// The collections with their sizes, created if they are pending, and all of their partitions.
pub(super) async fn planned(
    context: &Arc<Context>,
    namespaces: Vec<NamespaceDocument>,
) -> Result<(Vec<CopyCandidate>, HashMap<String, Vec<PartitionDocument>>), Error> {
    let mut collections = stream::iter(namespaces)
        .map(|namespace| sized(context, namespace).boxed())
        .buffered(READERS)
        .try_collect::<Vec<_>>()
        .await?;
    creation::create_all(context, &mut collections).await?;
    let ids: Vec<&str> = collections.iter().map(|(n, _)| n.id.as_str()).collect();
    let partitions = context.store.partitions_of(&ids).await?;
    Ok((collections, partitions))
}

/// Gives planned collections to the workers. Returns those whose partitions are all done, as they were
/// recorded.
fn put(
    context: &Context,
    collections: Vec<CopyCandidate>,
    mut partitions: HashMap<String, Vec<PartitionDocument>>,
) -> Vec<(CollectionUuid, CopyState)> {
    let mut done = Vec::new();
    for (namespace, size) in collections {
        let (uuid, state) = (namespace.uuid(), namespace.copy_state);
        let partitions = partitions.remove(&namespace.id).unwrap_or_default();
        if context.partitions.plan(namespace, partitions, size) {
            done.extend(uuid.map(|uuid| (uuid, state)));
        }
    }
    done
}

/// Gives collections to the workers whose copy an earlier run has begun. Returns those whose
/// partitions are all done, as they were recorded.
pub(in crate::sync) async fn go_on(
    context: &Arc<Context>,
    namespaces: Vec<NamespaceDocument>,
) -> Result<Vec<(CollectionUuid, CopyState)>, Error> {
    let mut collections = stream::iter(namespaces)
        .map(|namespace| sized(context, namespace).boxed())
        .buffered(READERS)
        .try_collect::<Vec<_>>()
        .await?;
    // The run that created them may have ended before it knew their UUIDs.
    creation::find_lacking_uuids(context, &mut collections).await?;
    let ids: Vec<&str> = collections.iter().map(|(n, _)| n.id.as_str()).collect();
    let partitions = context.store.partitions_of(&ids).await?;
    for (namespace, _) in &collections {
        let copied = partitions.get(&namespace.id).map_or(&[][..], Vec::as_slice);
        progress::show_counts(context, namespace, copied);
    }
    Ok(put(context, collections, partitions))
}

async fn sized(context: &Context, namespace: NamespaceDocument) -> Result<CopyCandidate, Error> {
    let size = listing::collection_size(&context.source, &namespace.source).await?;
    Ok((namespace, size))
}
