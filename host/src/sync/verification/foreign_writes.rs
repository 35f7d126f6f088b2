//! Writes of other clients on the destination, found in its oplog.
//!
//! Documents of the stream are written in transactions whose first statement changes a guard. Any other
//! write makes its key dirty. Inserts of the copy have no guard; their keys are compared once more.

use std::collections::HashMap;

use bson::{RawDocument, RawDocumentBuf, Timestamp, rawdoc, spec::BinarySubtype};

use super::{
    DirtyKeys, Error, SyncedCollection, VerifiedClusters,
    side_reader::{names, next_of_oplog, open_oplog},
};
use crate::{
    metadata::GUARDS,
    model::{ClusterTime, event::CollectionUuid, namespace::METADATA_DATABASE, raw},
    mongo::code,
};

/// The outcome of a look into the oplog.
pub(super) enum ForeignWrites {
    /// The documents, by their collections on the source, and their number.
    Found(DirtyKeys, u64),
    /// The user may not read the oplog.
    Unknown,
    /// The oplog no longer holds the whole time.
    Lost,
}

/// The writes after `from`, up to `to`.
pub(super) async fn between(
    clusters: &VerifiedClusters,
    collections: &[std::sync::Arc<SyncedCollection>],
    from: ClusterTime,
    to: ClusterTime,
) -> Result<ForeignWrites, Error> {
    match read(clusters, collections, from, to).await {
        Err(Error::Mongo(error)) if error.has_code(code::UNAUTHORIZED) => {
            Ok(ForeignWrites::Unknown)
        }
        other => other,
    }
}

async fn read(
    clusters: &VerifiedClusters,
    collections: &[std::sync::Arc<SyncedCollection>],
    from: ClusterTime,
    to: ClusterTime,
) -> Result<ForeignWrites, Error> {
    let mut first = open_oplog(
        &clusters.destination,
        rawdoc! {},
        rawdoc! { "ts": 1 },
        1,
        to,
    )
    .await?;
    let oldest = match next_of_oplog(&mut first).await? {
        Some(reply) => match reply.documents()?.next().transpose()? {
            Some(entry) => time_of(entry)?,
            None => None,
        },
        None => None,
    };
    if oldest.is_none_or(|oldest| oldest > from) {
        return Ok(ForeignWrites::Lost);
    }
    let by_uuid: HashMap<CollectionUuid, CollectionUuid> = collections
        .iter()
        .filter_map(|collection| Some((collection.destination.uuid?, collection.uuid)))
        .collect();
    let filter = filter(from, to);
    let mut cursor = open_oplog(&clusters.destination, filter, projection(), 0, to).await?;
    let (mut keys, mut count) = (DirtyKeys::default(), 0);
    while let Some(reply) = next_of_oplog(&mut cursor).await? {
        for entry in reply.documents()? {
            count += note(
                RawDocument::from_bytes(entry?).map_err(crate::mongo::Error::Bson)?,
                &by_uuid,
                &mut keys,
            );
        }
    }
    Ok(ForeignWrites::Found(keys, count))
}

fn time_of(entry: &[u8]) -> Result<Option<ClusterTime>, Error> {
    let entry = RawDocument::from_bytes(entry).map_err(crate::mongo::Error::Bson)?;
    Ok(entry.get_timestamp("ts").ok().map(ClusterTime::from))
}

fn filter(from: ClusterTime, to: ClusterTime) -> RawDocumentBuf {
    let guards = format!("{METADATA_DATABASE}.{GUARDS}");
    let internal = format!("^(admin|config|local|{METADATA_DATABASE})\\.");
    let single = rawdoc! {
        "op": { "$in": names(&["i", "u", "d"]) },
        "ns": { "$not": { "$regex": internal } },
    };
    let transaction = rawdoc! {
        "op": "c",
        "o.applyOps": { "$exists": true },
        "o.applyOps.0.ns": { "$ne": guards },
    };
    let mut kinds = bson::RawArrayBuf::new();
    kinds.push(single);
    kinds.push(transaction);
    rawdoc! {
        "ts": { "$gt": Timestamp::from(from), "$lte": Timestamp::from(to) },
        "$or": kinds,
    }
}

fn projection() -> RawDocumentBuf {
    rawdoc! {
        "op": 1, "ui": 1, "o._id": 1, "o2": 1, "o.applyOps.op": 1, "o.applyOps.ui": 1, "o.applyOps.o._id": 1,
        "o.applyOps.o2": 1,
    }
}

/// Notes the documents of an entry. Returns their number.
fn note(
    entry: &RawDocument,
    by_uuid: &HashMap<CollectionUuid, CollectionUuid>,
    keys: &mut DirtyKeys,
) -> u64 {
    if let Ok(operations) = entry
        .get_document("o")
        .and_then(|operation| operation.get_array("applyOps"))
    {
        let operations = operations.into_iter().filter_map(Result::ok);
        return operations
            .filter_map(|operation| Some(note(operation.as_document()?, by_uuid, keys)))
            .sum();
    }
    let collection = uuid_of(entry).and_then(|uuid| by_uuid.get(&uuid));
    let document = match entry.get_str("op") {
        Ok("u") => entry.get_document("o2"),
        _ => entry.get_document("o"),
    };
    let id = document
        .ok()
        .and_then(|document| raw::find(document.as_bytes(), "_id").ok()?);
    match (collection, id) {
        (Some(collection), Some(id)) => {
            keys.note(*collection, (id.kind, id.value));
            1
        }
        _ => 0,
    }
}

fn uuid_of(entry: &RawDocument) -> Option<CollectionUuid> {
    let uuid = entry.get_binary("ui").ok()?;
    let uuid = (uuid.subtype == BinarySubtype::Uuid).then_some(uuid.bytes)?;
    uuid.try_into().ok()
}
