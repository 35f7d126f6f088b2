//! Lists of a cluster's databases, collections and indexes, their sizes, and the cluster's times.
//!
//! All are reads, and are repeated until the cluster answers or an outage ends them.

use std::{collections::BTreeMap, time::Duration};

use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};
use futures::StreamExt;

use super::{
    super::{Error, code, reply::bson_number},
    client::{Client, Database},
    retry::{Retry, outage},
};
use crate::model::{ClusterTime, Namespace, namespace::is_internal_database};

const LIST_COLLECTIONS: &str = "list collections";

/// Documents and uncompressed bytes of one collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct CollectionSize {
    /// `count` of `$collStats`. Inexact after an unclean shutdown (manual: `$collStats`, `storageStats`).
    pub documents: u64,
    /// `size` of `$collStats`: BSON bytes of all documents, without compression and indexes.
    pub bytes: u64,
    /// `totalIndexSize` of `$collStats`: bytes of all indexes on disk, the index on `_id` included.
    pub index_bytes: u64,
}

impl CollectionSize {
    /// Bytes of an average document, at least 1.
    pub fn average(self) -> u64 {
        (self.bytes / self.documents.max(1)).max(1)
    }
}

/// Names of the user databases: all databases except those that no sync touches.
pub async fn user_databases(client: &Client) -> Result<Vec<String>, Error> {
    user_databases_within(client, outage()).await
}

/// All collections and views of the user databases, including `system.` collections.
pub async fn user_namespaces(client: &Client) -> Result<Vec<Namespace>, Error> {
    user_namespaces_within(client, outage()).await
}

/// Names of all databases, or an error after `deadline`.
pub(in crate::mongo) async fn databases_within(
    client: &Client,
    deadline: Duration,
) -> Result<Vec<String>, Error> {
    Retry::quick(client.contact(), "list databases")
        .within(deadline)
        .run(async || Ok(client.driver().list_database_names().await?))
        .await
}

/// Like [`user_databases`], for at most `deadline`.
pub(in crate::mongo) async fn user_databases_within(
    client: &Client,
    deadline: Duration,
) -> Result<Vec<String>, Error> {
    let mut databases = databases_within(client, deadline).await?;
    databases.retain(|database| !is_internal_database(database));
    Ok(databases)
}

/// Like [`user_namespaces`], for at most `deadline` for each list.
pub(in crate::mongo) async fn user_namespaces_within(
    client: &Client,
    deadline: Duration,
) -> Result<Vec<Namespace>, Error> {
    let command = rawdoc! { "listCollections": 1, "nameOnly": true, "cursor": {} };
    let mut namespaces = Vec::new();
    for name in user_databases_within(client, deadline).await? {
        let database = client.database(&name);
        namespaces.extend(namespaces_within(&database, &command, deadline).await?);
    }
    Ok(namespaces)
}

/// Collections and views in the result of `command`, a `listCollections`.
pub(in crate::mongo) async fn namespaces_within(
    database: &Database,
    command: &RawDocumentBuf,
    deadline: Duration,
) -> Result<Vec<Namespace>, Error> {
    let listed = Retry::quick(database.contact(), LIST_COLLECTIONS)
        .within(deadline)
        .run(|| read_all(database, command.clone()))
        .await?;
    let names = listed.iter().filter_map(|entry| entry.get_str("name").ok());
    Ok(names
        .map(|name| Namespace::new(database.name(), name))
        .collect())
}

/// All collections and views of a database, as `listCollections` returns them.
pub async fn collections(database: &Database) -> Result<Vec<RawDocumentBuf>, Error> {
    let command = rawdoc! { "listCollections": 1, "cursor": {} };
    cursor_documents(database, LIST_COLLECTIONS, command).await
}

/// A collection or view, as `listCollections` returns it.
pub async fn collection(database: &Database, name: &str) -> Result<Option<RawDocumentBuf>, Error> {
    let command = rawdoc! { "listCollections": 1, "filter": { "name": name }, "cursor": {} };
    let mut found = cursor_documents(database, LIST_COLLECTIONS, command).await?;
    Ok(found.pop())
}

/// Collections and views with these names, as `listCollections` returns them.
pub async fn collections_named(
    database: &Database,
    names: &[String],
) -> Result<Vec<RawDocumentBuf>, Error> {
    let mut list = bson::RawArrayBuf::new();
    for name in names {
        list.push(name.as_str());
    }
    let filter = rawdoc! { "name": { "$in": list } };
    let command = rawdoc! { "listCollections": 1, "filter": filter, "cursor": {} };
    cursor_documents(database, LIST_COLLECTIONS, command).await
}

/// All indexes of a collection, as `listIndexes` returns them; empty for a missing collection.
pub async fn indexes(database: &Database, collection: &str) -> Result<Vec<RawDocumentBuf>, Error> {
    let command = rawdoc! { "listIndexes": collection, "cursor": {} };
    match cursor_documents(database, "list indexes", command).await {
        Err(error) if error.has_code(code::NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
        other => other,
    }
}

/// The names of the indexes of each build that is in progress on a collection (manual: `listIndexes`,
/// `includeBuildUUIDs`).
pub async fn index_builds(
    database: &Database,
    collection: &str,
) -> Result<Vec<Vec<String>>, Error> {
    let command = rawdoc! { "listIndexes": collection, "includeBuildUUIDs": true, "cursor": {} };
    let indexes = match cursor_documents(database, "list indexes", command).await {
        Err(error) if error.has_code(code::NAMESPACE_NOT_FOUND) => Vec::new(),
        other => other?,
    };
    let mut builds: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for index in &indexes {
        // A finished index is listed as its specification alone.
        let (Ok(build), Some(spec)) = (index.get_binary("buildUUID"), subdocument(index, "spec"))
        else {
            continue;
        };
        let name = spec.get_str("name").unwrap_or_default().to_owned();
        builds.entry(build.bytes.to_vec()).or_default().push(name);
    }
    Ok(builds.into_values().collect())
}

/// Result of `pipeline` over a collection. The pipeline must only read.
pub async fn aggregate(
    database: &Database,
    collection: &str,
    pipeline: bson::RawArrayBuf,
) -> Result<Vec<RawDocumentBuf>, Error> {
    let command = rawdoc! { "aggregate": collection, "pipeline": pipeline, "cursor": {}, "allowDiskUse": true };
    Retry::slow(database.contact(), "aggregate")
        .run(|| read_all(database, command.clone()))
        .await
}

async fn cursor_documents(
    database: &Database,
    what: &'static str,
    command: RawDocumentBuf,
) -> Result<Vec<RawDocumentBuf>, Error> {
    Retry::quick(database.contact(), what)
        .run(|| read_all(database, command.clone()))
        .await
}

async fn read_all(
    database: &Database,
    command: RawDocumentBuf,
) -> Result<Vec<RawDocumentBuf>, Error> {
    let mut batches = database
        .driver()
        .run_raw_cursor_command(command)
        .batch()
        .await?;
    let mut documents = Vec::new();
    while let Some(batch) = batches.next().await {
        for document in batch?.doc_slices()? {
            let document = document
                .map_err(Error::Bson)?
                .as_document()
                .ok_or(Error::Reply("document"))?;
            documents.push(document.to_owned());
        }
    }
    Ok(documents)
}

/// Sends a read to the `admin` database.
async fn admin(client: &Client, what: &'static str, command: Document) -> Result<Document, Error> {
    let admin = client.database("admin");
    Retry::quick(client.contact(), what)
        .run(async || Ok(admin.driver().run_command(command.clone()).await?))
        .await
}

/// Count and size from `$collStats`; zero for a missing collection and for a view.
pub async fn collection_size(
    client: &Client,
    namespace: &Namespace,
) -> Result<CollectionSize, Error> {
    let database = client.database(&namespace.database);
    let mut pipeline = bson::RawArrayBuf::new();
    pipeline.push(rawdoc! { "$collStats": { "storageStats": {} } });
    let stats = match aggregate(&database, &namespace.collection, pipeline).await {
        Err(error)
            if error.has_code(code::NAMESPACE_NOT_FOUND)
                || error.has_code(code::COMMAND_NOT_SUPPORTED_ON_VIEW) =>
        {
            return Ok(CollectionSize::default());
        }
        other => other?,
    };
    let Some(first) = stats.first() else {
        return Ok(CollectionSize::default());
    };
    let document: bson::Document = bson::deserialize_from_slice(first.as_bytes())?;
    let storage = document
        .get_document("storageStats")
        .map_err(|_absent| Error::Reply("storageStats"))?;
    let number = |name| {
        bson_number(storage, name)
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or_default()
    };
    // A collection of buckets has no `count`.
    let buckets = storage
        .get_document("timeseries")
        .ok()
        .and_then(|series| bson_number(series, "bucketCount"))
        .and_then(|n| u64::try_from(n).ok())
        .unwrap_or_default();
    Ok(CollectionSize {
        documents: number("count").max(buckets),
        bytes: number("size"),
        index_bytes: number("totalIndexSize"),
    })
}

/// The newest operation time of the cluster, from its primary.
pub async fn operation_time(client: &Client) -> Result<ClusterTime, Error> {
    let reply = admin(client, "take the time", doc! { "ping": 1 }).await?;
    reply
        .get_timestamp("operationTime")
        .map(ClusterTime::from)
        .map_err(|_absent| Error::Reply("operationTime"))
}

/// Time of the primary's clock.
pub async fn local_time(client: &Client) -> Result<bson::DateTime, Error> {
    let reply = admin(client, "take the time", doc! { "hello": 1 }).await?;
    let time = reply.get_datetime("localTime");
    time.copied().map_err(|_absent| Error::Reply("localTime"))
}

/// A cluster time without open operations at or before it. An operation time can be ahead of
/// operations that are being committed ("oplog holes"); a majority read after it waits for them.
pub async fn settled_time(client: &Client) -> Result<ClusterTime, Error> {
    let time = operation_time(client).await?;
    let after = rawdoc! { "level": "majority", "afterClusterTime": bson::Timestamp::from(time) };
    let command = rawdoc! { "find": "barrier", "limit": 1, "readConcern": after };
    let database = client.database("tidegate");
    cursor_documents(&database, "wait for a majority", command).await?;
    Ok(time)
}

/// A field of a raw document, if it is an embedded document.
pub fn subdocument<'a>(document: &'a RawDocument, name: &str) -> Option<&'a RawDocument> {
    document.get_document(name).ok()
}
