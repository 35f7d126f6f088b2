//! The start of a sync: its catalog is read, and persisted with the session.

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

/// What a start found: everything that is to be persisted before the work begins.
pub struct Plan {
    catalog: catalog::Catalog,
    pub total_bytes: u64,
}

impl Plan {
    pub fn start_time(&self) -> ClusterTime {
        self.catalog.time
    }
}

/// Reads what is in scope on the source and how large it is; changes nothing.
pub async fn plan(source: &Cluster, router: Arc<Router>) -> Result<Plan, Error> {
    let source = source.client.called(SOURCE);
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

/// Persists a plan and its session, together: with that the sync has begun.
pub async fn begin(
    store: &metadata::Store,
    plan: &Plan,
    session: &SessionDocument,
) -> Result<(), mongo::Error> {
    let entries = plan.catalog.entries.iter();
    let namespaces: Vec<_> = entries.map(catalog::CatalogEntry::document).collect();
    store.begin(session, &namespaces).await
}
