//! The start of a sync: the catalog is read, and persisted with the session.

use std::sync::Arc;

use super::{
    Error,
    catalog::{self, names::DestinationNames, scope::Scope},
    context::SOURCE,
};
use crate::{
    metadata::{self, SessionDocument},
    model::ClusterTime,
    mongo::{self, Cluster, listing},
    plugin::Router,
};

/// The catalog of a start, to be persisted before the work begins.
pub struct Plan {
    catalog: catalog::Catalog,
    /// Bytes of documents to copy, uncompressed.
    pub total_bytes: u64,
}

impl Plan {
    /// The cluster time at which the catalog is exact.
    pub fn start_time(&self) -> ClusterTime {
        self.catalog.time
    }
}

/// Reads the namespaces in scope on the source, and their size. Changes nothing.
///
/// # Errors
/// `NamespaceCollision` for two namespaces with one name on the destination;
/// `CollectionNotSupported` and `TimeSeriesNotSupported` for collections that cannot be synced.
pub async fn plan(source: &Cluster, router: Arc<Router>) -> Result<Plan, Error> {
    let source = source.client.with_name(SOURCE);
    let scope = Scope::new(router);
    let catalog = catalog::capture(&source, &scope).await?;
    let names = catalog.entries.iter();
    names
        .map(|entry| (&entry.source, &entry.destination))
        .try_fold(DestinationNames::default(), DestinationNames::take)?;
    let mut total_bytes = 0;
    for entry in catalog.entries.iter().filter(|entry| entry.uuid.is_some()) {
        total_bytes += listing::collection_size(&source, &entry.source)
            .await?
            .bytes;
    }
    Ok(Plan {
        catalog,
        total_bytes,
    })
}

/// Persists a plan and its session in one transaction, which begins the sync.
pub async fn begin(
    store: &metadata::Store,
    plan: &Plan,
    session: &SessionDocument,
) -> Result<(), mongo::Error> {
    let entries = plan.catalog.entries.iter();
    let namespaces: Vec<_> = entries.map(catalog::CatalogEntry::document).collect();
    store.begin(session, &namespaces).await
}
