//! Collections that only one of the clusters has, looked for before commit restores settings and makes views.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::{
    Error, SyncedCollection, VerifiedClusters,
    progress::VerificationState,
    side_reader::{DocumentRange, SideReader},
};
use crate::{
    model::{ClusterTime, Namespace, OperatorError},
    mongo::listing,
};

/// Collections that are looked for in parallel.
const PARALLEL: usize = 16;

/// Names collections that the destination does not have.
pub(super) async fn find_missing(
    clusters: &VerifiedClusters,
    collections: &[Arc<SyncedCollection>],
    destination: ClusterTime,
    state: &mut VerificationState,
    at: ClusterTime,
) -> Result<(), Error> {
    let collections = collections.to_vec();
    let client = clusters.destination.clone();
    let looked_for = stream::iter(collections).map(move |collection| {
        let client = client.clone();
        async move {
            let none = DocumentRange::Keys(&[]);
            let on = &collection.destination;
            let found = SideReader::open(&client, on, none, destination).await?;
            Ok::<_, Error>((collection, found.is_some()))
        }
    });
    let looked_for: Vec<_> = looked_for.buffer_unordered(PARALLEL).collect().await;
    for found in looked_for {
        let (collection, is_found) = found?;
        if !is_found {
            state.name_missing(&collection, at);
        }
    }
    Ok(())
}

/// The collections and views that the destination has and the sync has not made, with the names that they would have on the
/// source.
pub(super) async fn find_extra(
    clusters: &VerifiedClusters,
    source_name: impl Fn(&BTreeSet<String>, &Namespace) -> Result<Option<Namespace>, OperatorError>,
) -> Result<Vec<(Namespace, Namespace)>, Error> {
    let known = clusters.store.namespaces().await?;
    let databases = known.iter().map(|known| known.source.database.clone());
    let databases: BTreeSet<_> = databases.collect();
    let known: HashSet<_> = known.into_iter().map(|known| known.destination).collect();
    let mut extra = Vec::new();
    let found = listing::user_namespaces(&clusters.destination).await?;
    let all: HashSet<_> = found.iter().cloned().collect();
    for found in found {
        // Buckets are named with their time-series collection, if there is one.
        let is_hidden = match found.time_series() {
            Some(series) => all.contains(&series),
            None => found.is_internal(),
        };
        if !is_hidden
            && !known.contains(&found)
            && let Some(source) = source_name(&databases, &found)?
        {
            extra.push((source.shown(), found.shown()));
        }
    }
    Ok(extra)
}
