//! The split of a range without an upper bound, at the greatest `_id`.
//!
//! The range takes the inserts of growing `_id`s. What lies above the greatest `_id` at its begin
//! holds no documents, so its upper part is done from the start and takes events at once. The
//! document with the greatest `_id` itself is looked up.

use bson::{RawDocumentBuf, rawdoc};

use super::{
    Error,
    report::{CopyReport, Reports},
    worker::PartitionCopier,
};
use crate::{
    metadata::PartitionDocument,
    model::raw,
    mongo::{self, RawReader, listing, write::CollectionRef},
    sync::partitions::{ParkedKey, server_order::can_be_bound},
};

/// Ranges of smaller collections are not split: they are read in a few batches.
const SPLIT_FROM: u64 = 8 << 20;

/// Splits `partition`, and returns its lower part. A small or empty range stays whole.
pub(super) async fn split(
    copier: &PartitionCopier<'_>,
    mut partition: PartitionDocument,
    generation: u64,
    reports: &Reports,
) -> Result<PartitionDocument, Error> {
    let context = copier.context;
    let Some(uuid) = copier.namespace.uuid() else {
        return Ok(partition);
    };
    let size = listing::collection_size(&context.source, &copier.namespace.source).await?;
    if size.bytes < context.partition_bytes.min(SPLIT_FROM) {
        return Ok(partition);
    }
    let Some(greatest) = greatest_id(copier).await? else {
        return Ok(partition);
    };
    if partition.lower.as_ref() == Some(&greatest) {
        return Ok(partition);
    }
    let at = listing::operation_time(&context.source).await?;
    let upper = PartitionDocument {
        id: format!("{}.1", partition.id),
        lower: Some(greatest.clone()),
        done: true,
        done_at: Some(at),
        begun: false,
        ..partition.clone()
    };
    partition.upper = Some(greatest.clone());
    partition.begun = true;
    let id = raw::find(greatest.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
    let key = ParkedKey {
        id_kind: id.kind,
        id: id.value.into(),
        time: at,
        order: None,
    };
    let document = key.document(&copier.namespace.id, &upper.id)?;
    let parts = [partition.clone(), upper.clone()];
    context.store.put_split(&parts, document).await?;
    let plan = (uuid, generation);
    context
        .partitions
        .split(plan, &partition, upper.clone(), key);
    let report = CopyReport::Done {
        plan,
        partition: upper,
        at,
    };
    let _ = reports.send(report);
    Ok(partition)
}

/// The greatest `_id` of the collection as `{_id: value}`; `None` if it is empty, or the value
/// cannot be a bound.
async fn greatest_id(copier: &PartitionCopier<'_>) -> Result<Option<RawDocumentBuf>, Error> {
    let namespace = &copier.namespace;
    let uuid = namespace.uuid().ok_or(mongo::Error::Reply("info.uuid"))?;
    let database = copier.context.source.database(&namespace.source.database);
    let collection = CollectionRef {
        namespace: namespace.source.clone(),
        uuid: Some(uuid),
    };
    let fields = rawdoc! {
        "sort": { "_id": -1 },
        "hint": { "_id": 1 },
        "limit": 1,
        "projection": { "_id": 1 },
        "readConcern": { "level": "majority", "afterClusterTime": bson::Timestamp::from(copier.after) },
    };
    let reader = RawReader::new(database, collection);
    let reply = reader
        .first_reply("read the greatest _id", &fields, |_| Ok(()))
        .await?;
    let Some(reply) = reply else {
        return Ok(None);
    };
    let Some(found) = reply.documents()?.next().transpose()? else {
        return Ok(None);
    };
    let found = RawDocumentBuf::from_bytes(found.to_vec()).map_err(mongo::Error::Bson)?;
    Ok(can_be_bound(&found).then_some(found))
}
