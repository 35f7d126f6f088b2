//! The start of a sync: the catalog is read, and persisted with the session. A rehearsal reads it alone.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Error,
    catalog::{self, CatalogEntry, names::DestinationNames, options, scope::Scope, time_series},
    context::SOURCE,
};
use crate::{
    metadata::{self, NamespaceKind, SessionDocument},
    model::{ClusterTime, Namespace, OperatorError},
    mongo::{self, Client, Cluster, listing},
    plugin::Router,
};

/// Collection sizes that are requested in parallel.
const READERS: usize = 16;

/// The catalog of a start, to be persisted before the work begins.
pub struct Plan {
    catalog: catalog::Catalog,
    /// Bytes of documents to copy, uncompressed.
    pub total_bytes: u64,
}

impl Plan {
    /// Whether the change stream has to carry events of system collections.
    pub fn needs_system_events(&self) -> bool {
        has_buckets(&self.catalog.entries)
    }

    /// The cluster time at which the catalog is exact.
    pub fn start_time(&self) -> ClusterTime {
        self.catalog.time
    }
}

/// Reads the namespaces in scope on the source, and their size. Changes nothing.
///
/// # Errors
/// `NamespaceCollision` for two namespaces with one name on the destination;
/// `CollectionNotSupported` for collections that cannot be synced.
pub async fn plan(source: &Cluster, router: Arc<Router>) -> Result<Plan, Error> {
    let source = source.client.with_name(SOURCE);
    let scope = Scope::new(router, true);
    let catalog = catalog::capture(&source, &scope).await?;
    refuse_collision(&catalog.entries)?;
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

/// Whether any of the namespaces holds the buckets of a time-series collection.
pub(super) fn has_buckets(entries: &[CatalogEntry]) -> bool {
    let mut names = entries.iter().map(|entry| &entry.source);
    names.any(|source| source.time_series().is_some())
}

fn refuse_collision(entries: &[CatalogEntry]) -> Result<(), OperatorError> {
    entries
        .iter()
        .map(|entry| (&entry.source, &entry.destination))
        .try_fold(DestinationNames::default(), DestinationNames::take)
        .map(drop)
}

/// A namespace in scope.
#[derive(Clone, Debug)]
pub struct NamespacePlan {
    /// Name on the source.
    pub source: Namespace,
    /// Name on the destination.
    pub destination: Namespace,
    /// Collection or view.
    pub kind: NamespaceKind,
    /// Whether it is a capped collection, which one worker copies in natural order.
    pub capped: bool,
    /// Its size on the source, before document filters; zero for a view.
    pub size: listing::CollectionSize,
    /// Names of the indexes, without the index on `_id`.
    pub indexes: Vec<String>,
}

/// The namespaces of a start that does not follow.
#[derive(Default)]
pub struct NamespaceSurvey {
    /// Namespaces in scope, sorted by source namespace.
    pub namespaces: Vec<NamespacePlan>,
    /// Namespaces that are not in scope.
    pub left_out: Vec<Namespace>,
    /// Every reason against a start that the catalog holds.
    pub refusals: Vec<OperatorError>,
}

/// Reads the namespaces of the source as [`plan`] does, once, and goes on after a refusal. Changes nothing.
///
/// # Errors
/// Failures of the source.
pub async fn survey(source: &Cluster, router: Arc<Router>) -> Result<NamespaceSurvey, Error> {
    let source = source.client.with_name(SOURCE);
    let catalog = catalog::survey(&source, &Scope::new(router, true)).await?;
    let mut refusals = catalog.refusals;
    refusals.extend(refuse_collision(&catalog.entries).err());
    let mut entries = catalog.entries;
    // A time-series collection is one namespace for the operator: its buckets.
    entries.retain(|entry| !time_series::is_view_of_buckets(&entry.options));
    let planned = stream::iter(entries).map(|entry| namespace_plan(&source, entry));
    Ok(NamespaceSurvey {
        namespaces: planned.buffered(READERS).try_collect().await?,
        left_out: catalog.left_out,
        refusals,
    })
}

async fn namespace_plan(
    source: &Client,
    entry: CatalogEntry,
) -> Result<NamespacePlan, mongo::Error> {
    let size = match entry.kind {
        NamespaceKind::View => listing::CollectionSize::default(),
        NamespaceKind::Collection => listing::collection_size(source, &entry.source).await?,
    };
    let names = entry.indexes.iter();
    Ok(NamespacePlan {
        kind: entry.kind,
        capped: options::is_capped(&entry.options),
        size,
        indexes: names
            .filter_map(|index| index.get_str("name").ok().map(str::to_owned))
            .collect(),
        source: entry.source.shown(),
        destination: entry.destination.shown(),
    })
}

/// The time-series collections of the source that are in scope. Reads names alone.
///
/// # Errors
/// The refusal of the filter; failures of the source.
pub async fn time_series_in_scope(
    source: &Cluster,
    router: Arc<Router>,
) -> Result<Vec<Namespace>, Error> {
    let source = source.client.with_name(SOURCE);
    let scope = Scope::new(router, true);
    let mut series = Vec::new();
    for namespace in listing::user_namespaces(&source).await? {
        if let Some(of) = namespace.time_series()
            && scope.destination(&of)?.is_some()
        {
            series.push(of);
        }
    }
    Ok(series)
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
