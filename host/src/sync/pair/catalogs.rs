//! The namespaces of both clusters, in pairs.

use std::collections::{BTreeMap, BTreeSet};

use bson::{RawDocument, RawDocumentBuf};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::clusters::ClusterPair;
use crate::{
    metadata::NamespaceKind,
    model::{Namespace, event::CollectionUuid, mismatch::Mismatch, namespace::FUNCTIONS},
    mongo::{self, Client, Database, listing},
    sync::{
        Error,
        catalog::{
            self, CatalogEntry, indexes::secondary_indexes, names::DestinationNames, options,
            source_name::source_name, time_series,
        },
        comparison::{CollectionForm, compare_forms},
    },
};

/// Index listings that are requested in parallel.
const READERS: usize = 16;

/// A collection or view of the destination.
#[derive(Clone, Debug)]
pub(super) struct DestinationEntry {
    kind: NamespaceKind,
    name: Namespace,
    /// `None` for views.
    uuid: Option<CollectionUuid>,
    options: RawDocumentBuf,
    indexes: Vec<RawDocumentBuf>,
}

/// A namespace of the source and the namespace of the destination that a sync would make of it.
#[derive(Debug)]
pub(super) struct NamespacePair {
    /// The name on the source, or that it would have there.
    pub(super) source: Namespace,
    /// The name on the destination.
    pub(super) destination: Namespace,
    wanted: Option<CatalogEntry>,
    found: Option<DestinationEntry>,
}

impl NamespacePair {
    /// The UUIDs of a collection that both clusters have.
    pub(super) fn uuids(&self) -> Option<(CollectionUuid, CollectionUuid)> {
        Some((self.wanted.as_ref()?.uuid?, self.found.as_ref()?.uuid?))
    }

    /// Whether only one cluster has the namespace.
    fn is_lone(&self) -> bool {
        self.wanted.is_none() || self.found.is_none()
    }

    /// Whether the collection is capped, on either side.
    pub(super) fn is_capped(&self) -> bool {
        self.options().any(options::is_capped)
    }

    /// Whether strings in `_id`s are compared under a collation, on either side.
    pub(super) fn is_collated(&self) -> bool {
        self.options().any(options::is_collated)
    }

    /// Whether both sides order `_id`s in the same way, so that bounds cut both into the same ranges.
    pub(super) fn has_one_order(&self) -> bool {
        let mut collations = self.options().map(options::collation);
        let first = collations.next();
        collations.all(|collation| Some(collation) == first)
    }

    fn options(&self) -> impl Iterator<Item = &RawDocument> {
        let wanted = self.wanted.as_ref().map(|entry| &*entry.options);
        let found = self.found.as_ref().map(|entry| &*entry.options);
        wanted.into_iter().chain(found)
    }

    /// The mismatches of kind, options and indexes.
    pub(super) fn mismatches(&self, pair: &ClusterPair) -> Result<Vec<Mismatch>, Error> {
        let wanted = self.wanted.as_ref().map(|entry| CollectionForm {
            kind: entry.kind,
            options: &entry.options,
            indexes: &entry.indexes,
        });
        let found = self.found.as_ref().map(|entry| CollectionForm {
            kind: entry.kind,
            options: &entry.options,
            indexes: &entry.indexes,
        });
        let names = (&self.source, &self.destination);
        compare_forms(names, wanted, found, pair.strictness())
    }
}

/// Reads the catalogs of both clusters, once. Temporary collections are left out.
///
/// # Errors
/// `TimeSeriesNotSupported` for documents that plugins would see; `CollectionNotSupported` and `NamespaceCollision` as at the start of a sync.
pub(super) async fn read(pair: &ClusterPair) -> Result<Vec<NamespacePair>, Error> {
    let (wanted, found) = tokio::join!(
        catalog::read(&pair.source, &pair.scope),
        destination_entries(&pair.destination)
    );
    let (mut wanted, found) = (wanted?, found?);
    wanted.retain(|entry| !options::is_temporary(&entry.options));
    let series = wanted.iter().filter_map(|entry| entry.source.time_series());
    time_series::refuse_transformed(&pair.chain, &series.collect::<Vec<_>>())?;
    let names = wanted.iter();
    names
        .map(|entry| (&entry.source, &entry.destination))
        .try_fold(DestinationNames::default(), DestinationNames::take)?;
    let mut found: BTreeMap<Namespace, DestinationEntry> = found
        .into_iter()
        .map(|entry| (entry.name.clone(), entry))
        .collect();
    let mut pairs = Vec::new();
    let mut databases = BTreeSet::new();
    for entry in wanted {
        databases.insert(entry.source.database.clone());
        pairs.push(NamespacePair {
            source: entry.source.clone(),
            destination: entry.destination.clone(),
            found: found.remove(&entry.destination),
            wanted: Some(entry),
        });
    }
    for (name, entry) in found {
        if let Some(source) = source_name(&pair.scope, &pair.start, &databases, &name)? {
            let (wanted, found) = (None, Some(entry));
            pairs.push(NamespacePair {
                source,
                destination: name,
                wanted,
                found,
            });
        }
    }
    let mut pairs = without_lone_views(pairs);
    if !pair.options.before_commit {
        pairs.extend(stored_functions(pair).await?);
    }
    Ok(pairs)
}

/// The stored functions of the databases in scope. A collection of functions that is empty equals one that is missing: the
/// server drops none.
async fn stored_functions(pair: &ClusterPair) -> Result<Vec<NamespacePair>, Error> {
    let mut pairs = Vec::new();
    for database in listing::user_databases(&pair.source).await? {
        let Some(to) = pair.scope.functions_of(&database)? else {
            continue;
        };
        let (source, destination) = (
            Namespace::new(database, FUNCTIONS),
            Namespace::new(to, FUNCTIONS),
        );
        let (wanted, found) = tokio::join!(
            functions_entry(&pair.source, &source),
            functions_entry(&pair.destination, &destination)
        );
        let (wanted, found) = (wanted?, found?);
        if wanted.is_none() && found.is_none() {
            continue;
        }
        pairs.push(NamespacePair {
            wanted: wanted.map(|entry| CatalogEntry {
                kind: entry.kind,
                source: source.clone(),
                destination: destination.clone(),
                uuid: entry.uuid,
                options: entry.options,
                indexes: entry.indexes,
            }),
            source,
            destination,
            found,
        });
    }
    let mut kept = Vec::new();
    for it in pairs {
        if !it.is_lone() || has_functions(pair, &it).await? {
            kept.push(it);
        }
    }
    Ok(kept)
}

/// Whether the collection of functions that only one cluster has holds any.
async fn has_functions(pair: &ClusterPair, lone: &NamespacePair) -> Result<bool, Error> {
    let size = match lone.wanted {
        Some(_) => listing::collection_size(&pair.source, &lone.source),
        None => listing::collection_size(&pair.destination, &lone.destination),
    };
    Ok(size.await?.documents > 0)
}

async fn functions_entry(
    client: &Client,
    name: &Namespace,
) -> Result<Option<DestinationEntry>, Error> {
    let database = client.database(&name.database);
    let Some(listed) = listing::collection(&database, FUNCTIONS).await? else {
        return Ok(None);
    };
    Ok(Some(DestinationEntry {
        kind: NamespaceKind::Collection,
        name: name.clone(),
        uuid: uuid_of(&listed),
        options: catalog::options_of(&listed)?,
        indexes: Vec::new(),
    }))
}

/// Leaves out the view of a time-series collection that only one cluster has: its buckets are named.
fn without_lone_views(mut pairs: Vec<NamespacePair>) -> Vec<NamespacePair> {
    let lone = pairs.iter().filter(|pair| pair.is_lone());
    let lone: BTreeSet<Namespace> = lone.map(|pair| pair.source.clone()).collect();
    pairs.retain(|pair| !pair.is_lone() || !lone.contains(&pair.source.buckets()));
    pairs
}

async fn destination_entries(client: &Client) -> Result<Vec<DestinationEntry>, Error> {
    let mut entries = Vec::new();
    for name in listing::user_databases(client).await? {
        let database = client.database(&name);
        let listed = listing::collections(&database).await?;
        let found = listed
            .iter()
            .filter_map(|listed| entry(&name, listed).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let with_indexes = stream::iter(found).map(|entry| with_indexes(&database, entry).boxed());
        entries.extend(
            with_indexes
                .buffered(READERS)
                .try_collect::<Vec<_>>()
                .await?,
        );
    }
    Ok(entries)
}

async fn with_indexes(
    database: &Database,
    mut entry: DestinationEntry,
) -> Result<DestinationEntry, mongo::Error> {
    if entry.uuid.is_some() {
        entry.indexes = secondary_indexes(database, &entry.name.collection).await?;
    }
    Ok(entry)
}

/// An entry of `listCollections`; `None` for collections that no sync touches.
fn entry(database: &str, listed: &RawDocument) -> Result<Option<DestinationEntry>, Error> {
    let name = listed
        .get_str("name")
        .map_err(|_absent| mongo::Error::Reply("name"))?;
    let name = Namespace::new(database, name);
    let mut options = catalog::options_of(listed)?;
    if name.is_internal() && name.time_series().is_none() || options::is_temporary(&options) {
        return Ok(None);
    }
    let kind = match listed.get_str("type").ok() {
        Some("view") => NamespaceKind::View,
        Some("timeseries") => {
            options = time_series::view_options(&name, &options)?;
            NamespaceKind::View
        }
        _ => NamespaceKind::Collection,
    };
    Ok(Some(DestinationEntry {
        kind,
        name,
        uuid: uuid_of(listed),
        options,
        indexes: Vec::new(),
    }))
}

fn uuid_of(listed: &RawDocument) -> Option<CollectionUuid> {
    listing::subdocument(listed, "info")
        .and_then(|info| info.get_binary("uuid").ok())
        .and_then(|uuid| uuid.bytes.try_into().ok())
}
