//! The source's catalog: every collection and view in scope, with options and indexes.
//!
//! [`capture`] returns a catalog that is exact at one cluster time. It reads the catalog, takes the
//! time, and reads the catalog again until both readings are equal. A change stream from that time
//! on carries every later DDL operation, so the catalog stays exact at each event.

use bson::{RawDocument, RawDocumentBuf};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{indexes::secondary_indexes, options, scope::Scope, time_series, views};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::{ClusterTime, ErrorName, Namespace, OperatorError, event::CollectionUuid},
    mongo::{self, Client, Database, listing},
    sync::Error,
};

/// Index listings that are requested in parallel.
const READERS: usize = 16;

/// Readings of a catalog that DDL keeps changing, before the start gives up.
const MAX_READINGS: usize = 100;

/// A collection or view of the source that is in scope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CatalogEntry {
    /// Collection or view.
    pub(crate) kind: NamespaceKind,
    /// Its name on the source.
    pub(crate) source: Namespace,
    /// Its name on the destination.
    pub(crate) destination: Namespace,
    /// `None` for views.
    pub(crate) uuid: Option<CollectionUuid>,
    /// The options that are data; for a view, as on the destination.
    pub(crate) options: RawDocumentBuf,
    /// Without the `_id` index.
    pub(crate) indexes: Vec<RawDocumentBuf>,
}

/// The namespaces in scope, exact at a cluster time.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    /// The start time: every later DDL operation is a change event.
    pub(crate) time: ClusterTime,
    /// Sorted by source namespace.
    pub(crate) entries: Vec<CatalogEntry>,
}

impl CatalogEntry {
    /// The metadata of a namespace that is not copied yet.
    pub(crate) fn document(&self) -> NamespaceDocument {
        NamespaceDocument {
            id: match self.uuid {
                Some(uuid) => NamespaceDocument::id_of_uuid(uuid),
                None => NamespaceDocument::id_of_view(&self.source),
            },
            kind: self.kind,
            source: self.source.clone(),
            destination: self.destination.clone(),
            destination_uuid: None,
            options: self.options.clone(),
            indexes: self.indexes.clone(),
            copy_state: CopyState::Pending,
            documents: 0,
            bytes: 0,
            compare: false,
        }
    }
}

/// Reads the source's catalog, exact at the returned time.
///
/// # Errors
/// `CollectionNotSupported` where DDL changes the catalog during [`MAX_READINGS`] readings, or a
/// collection cannot be synced.
pub(crate) async fn capture(source: &Client, scope: &Scope) -> Result<Catalog, Error> {
    let mut before = read(source, scope).await?;
    for _ in 0..MAX_READINGS {
        let time = listing::settled_time(source).await?;
        let after = read(source, scope).await?;
        if before == after {
            return Ok(Catalog {
                time,
                entries: after,
            });
        }
        before = after;
    }
    Err(OperatorError::new(
        ErrorName::CollectionNotSupported,
        "The source's collections and indexes keep changing, so no consistent list of them can be read. \
         Stop creating, dropping and renaming collections for a moment and try again.",
    )
    .into())
}

/// All namespaces of the source, sorted by decision.
#[derive(Default)]
pub(crate) struct CatalogSurvey {
    /// Namespaces in scope, sorted by source namespace.
    pub(crate) entries: Vec<CatalogEntry>,
    /// Namespaces that are not in scope, in the order of the listing. Without `system.` collections.
    pub(crate) left_out: Vec<Namespace>,
    /// A refusal for each namespace in scope that cannot be synced.
    pub(crate) refusals: Vec<OperatorError>,
}

/// Reads the catalog once, and goes on after a refused namespace.
pub(crate) async fn survey(client: &Client, scope: &Scope) -> Result<CatalogSurvey, Error> {
    let mut survey = CatalogSurvey::default();
    for name in listing::user_databases(client).await? {
        let database = client.database(&name);
        let mut found = Vec::new();
        for listed in &listing::collections(&database).await? {
            match entry(&name, listed, scope) {
                Ok(Some(entry)) => found.push(entry),
                Ok(None) => survey.left_out.extend(
                    listed
                        .get_str("name")
                        .map(|collection| Namespace::new(name.as_str(), collection))
                        .ok()
                        .filter(|namespace| !namespace.is_internal()),
                ),
                Err(Error::Operator(refusal)) => survey.refusals.push(refusal),
                Err(error) => return Err(error),
            }
        }
        survey
            .entries
            .extend(all_with_indexes(&database, found).await?);
    }
    survey.entries.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(survey)
}

/// Reads everything in scope once.
pub(crate) async fn read(client: &Client, scope: &Scope) -> Result<Vec<CatalogEntry>, Error> {
    let mut entries = Vec::new();
    for name in listing::user_databases(client).await? {
        let database = client.database(&name);
        let listed = listing::collections(&database).await?;
        let found = listed
            .iter()
            .filter_map(|listed| entry(&name, listed, scope).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        entries.extend(all_with_indexes(&database, found).await?);
    }
    entries.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(entries)
}

async fn all_with_indexes(
    database: &Database,
    entries: Vec<CatalogEntry>,
) -> Result<Vec<CatalogEntry>, mongo::Error> {
    stream::iter(entries)
        .map(|entry| with_indexes(database, entry).boxed())
        .buffered(READERS)
        .try_collect()
        .await
}

async fn with_indexes(
    database: &Database,
    mut entry: CatalogEntry,
) -> Result<CatalogEntry, mongo::Error> {
    if entry.kind == NamespaceKind::Collection {
        entry.indexes = secondary_indexes(database, &entry.source.collection).await?;
    }
    Ok(entry)
}

/// The options of a collection or view that are data, from its `listCollections` entry.
pub(crate) fn options_of(listed: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let empty = RawDocumentBuf::new();
    let options = listing::subdocument(listed, "options").unwrap_or(&empty);
    options::of_listing(options, listing::subdocument(listed, "idIndex"))
}

fn entry(
    database: &str,
    listed: &RawDocumentBuf,
    scope: &Scope,
) -> Result<Option<CatalogEntry>, Error> {
    let name = listed
        .get_str("name")
        .map_err(|_absent| mongo::Error::Reply("name"))?;
    let source = Namespace::new(database, name);
    let Some(destination) = scope.destination(&source)? else {
        return Ok(None);
    };
    let mut options = options_of(listed)?;
    let uuid = listing::subdocument(listed, "info")
        .and_then(|info| info.get_binary("uuid").ok())
        .and_then(|uuid| uuid.bytes.try_into().ok());
    let kind = match listed.get_str("type").ok() {
        Some("view") => NamespaceKind::View,
        // It has no view: refused below.
        Some("timeseries") if uuid.is_some() => NamespaceKind::Collection,
        Some("timeseries") if !scope.has_time_series => {
            return Err(time_series::not_in_this_sync(&source).into());
        }
        Some("timeseries") => {
            options = time_series::view_options(&source, &options)?;
            NamespaceKind::View
        }
        _ => NamespaceKind::Collection,
    };
    if kind == NamespaceKind::Collection && uuid.is_none() {
        return Err(mongo::Error::Reply("info.uuid").into());
    }
    refuse_unfaithful(&source, &options)?;
    let options = if kind == NamespaceKind::View {
        views::on_destination(scope, &source, &destination, &options)?
    } else {
        options
    };
    Ok(Some(CatalogEntry {
        kind,
        source,
        destination,
        uuid,
        options,
        indexes: Vec::new(),
    }))
}

/// Refuses a collection that this release cannot copy faithfully.
pub(crate) fn refuse_unfaithful(
    namespace: &Namespace,
    options: &bson::RawDocument,
) -> Result<(), OperatorError> {
    if time_series::holds_buckets(options) && namespace.time_series().is_none() {
        return Err(time_series::buckets_without_a_view(namespace));
    }
    for (option, what) in [
        ("encryptedFields", "uses Queryable Encryption"),
        ("autoIndexId", "has no index on `_id`"),
    ] {
        let asked = !matches!(
            options.get(option),
            Ok(None) | Ok(Some(bson::RawBsonRef::Boolean(true))) | Err(_)
        );
        if asked {
            return Err(OperatorError::new(
                ErrorName::CollectionNotSupported,
                format!(
                    "The collection {namespace} {what}, which cannot be synced. Exclude it with excludeNamespaces."
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    /// SERVER-106176: servers with time-series collections of this kind list no buckets, and the UUID under the collection's
    /// name.
    #[test]
    fn buckets_are_taken_under_the_name_of_buckets_alone() {
        let options = rawdoc! { "timeseries": { "timeField": "t" } };
        let series = Namespace::new("app", "weather");
        assert!(refuse_unfaithful(&series.buckets(), &options).is_ok());
        let refusal = refuse_unfaithful(&series, &options).unwrap_err();
        assert_eq!(refusal.name, ErrorName::TimeSeriesNotSupported);
    }
}
