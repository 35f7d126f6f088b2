//! The partitions of the collections that both clusters have.
//!
//! Bounds are `_id`s that the larger side has sorted under its own collation, so an `_id` of any type is in exactly one
//! partition.

use std::sync::Arc;

use bson::RawDocumentBuf;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{
    catalogs::NamespacePair,
    clusters::ClusterPair,
    collection::{CollectionPair, CollectionPartition},
    ledger::Ledger,
};
use crate::{
    model::Namespace,
    mongo::{
        Client,
        listing::{self, CollectionSize},
        write::CollectionRef,
    },
    sync::{
        Error,
        copy::{MAX_PARTITIONS, sampled_bounds},
    },
};

/// Collections that are planned in parallel.
const PLANNERS: usize = 8;

/// A collection without partitions.
struct NewCollection {
    id: Arc<str>,
    source: CollectionRef,
    destination: CollectionRef,
    is_capped: bool,
    is_collated: bool,
    has_one_order: bool,
}

/// The partitions of the collections in `namespaces` that have none yet.
pub(super) async fn plan(
    pair: &ClusterPair,
    ledger: &Ledger,
    namespaces: &[NamespacePair],
) -> Result<Vec<CollectionPartition>, Error> {
    let new = namespaces.iter().filter_map(NewCollection::of);
    let new: Vec<_> = new.filter(|new| !ledger.is_planned(&new.id)).collect();
    let planned = stream::iter(new).map(|new| plan_collection(pair, ledger, new).boxed());
    let planned: Vec<_> = planned.buffered(PLANNERS).try_collect().await?;
    Ok(planned.into_iter().flatten().collect())
}

impl NewCollection {
    /// The collection of a namespace; `None` for other namespaces than collections that both clusters have.
    fn of(namespace: &NamespacePair) -> Option<Self> {
        let (source, destination) = namespace.uuids()?;
        let reference = |namespace: &Namespace, uuid| CollectionRef {
            namespace: namespace.clone(),
            uuid: Some(uuid),
        };
        Some(Self {
            id: CollectionPair::id(source, destination),
            source: reference(&namespace.source, source),
            destination: reference(&namespace.destination, destination),
            is_capped: namespace.is_capped(),
            is_collated: namespace.is_collated(),
            has_one_order: namespace.has_one_order(),
        })
    }
}

async fn plan_collection(
    pair: &ClusterPair,
    ledger: &Ledger,
    new: NewCollection,
) -> Result<Vec<CollectionPartition>, Error> {
    let (source_name, destination_name) = (&new.source.namespace, &new.destination.namespace);
    let (source, destination) = tokio::join!(
        listing::collection_size(&pair.source, source_name),
        listing::collection_size(&pair.destination, destination_name)
    );
    let (source, destination) = (source?, destination?);
    let bounds = match ledger.earlier_bounds(&new.id) {
        _ if !new.has_one_order => Vec::new(),
        Some(bounds) => bounds,
        None if destination.bytes > source.bytes => {
            bounds(pair, (&pair.destination, destination_name), destination).await?
        }
        None => bounds(pair, (&pair.source, source_name), source).await?,
    };
    let open = ledger.plan(&new.id, bounds, source.bytes);
    let collection = Arc::new(CollectionPair {
        chain: pair.chain.of(source_name)?,
        id: new.id,
        source: new.source,
        destination: new.destination,
        is_capped: new.is_capped,
        is_collated: new.is_collated,
        average_bytes: source.average().max(destination.average()),
    });
    let partition = |partition| CollectionPartition {
        collection: collection.clone(),
        partition,
    };
    Ok(open.into_iter().map(partition).collect())
}

/// Different `_id` values, in the server's order.
async fn bounds(
    pair: &ClusterPair,
    (client, namespace): (&Client, &Namespace),
    size: CollectionSize,
) -> Result<Vec<RawDocumentBuf>, Error> {
    let wanted = (size.bytes / pair.partition_bytes)
        .clamp(1, MAX_PARTITIONS)
        .min(size.documents.max(1));
    if wanted < 2 {
        return Ok(Vec::new());
    }
    sampled_bounds(client, namespace, wanted).await
}
