//! The partitions of a collection: `_id` ranges of about the same size.
//!
//! Bounds are `_id` values that the server has sorted under the collection's own collation, so this
//! code defines no order of its own. The first partition has no lower bound and the last has no
//! upper bound, so an `_id` of any type, inserted at any time, belongs to exactly one partition. A
//! bound stays valid when its document is deleted.

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

use super::Error;
use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::Namespace,
    mongo::{
        Client,
        listing::{self, CollectionSize},
    },
    sync::{
        Context,
        catalog::options,
        partitions::server_order::{MAX_BOUND_BYTES, can_be_bound},
    },
};

/// Partitions are not split below this size. Small partitions keep all workers busy to the end, and
/// let the parked keys of a partition wait for a second.
pub(in crate::sync) const PARTITION_BYTES: u64 = 16 << 20;

/// More partitions than this only add metadata.
pub(in crate::sync) const MAX_PARTITIONS: u64 = 4_096;

/// Samples for each bound.
const SAMPLES_A_PARTITION: u64 = 16;

/// The partitions of a collection, in `_id` order. A capped collection is a single partition, since
/// it is copied in natural order.
pub(super) async fn split(
    context: &Context,
    namespace: &NamespaceDocument,
    size: CollectionSize,
) -> Result<Vec<PartitionDocument>, Error> {
    let wanted = (size.bytes / context.partition_bytes)
        .clamp(1, MAX_PARTITIONS)
        .min(size.documents.max(1));
    let bounds = if options::is_capped(&namespace.options) || wanted < 2 {
        Vec::new()
    } else {
        sampled_bounds(&context.source, &namespace.source, wanted).await?
    };
    Ok(between(&namespace.id, bounds))
}

/// At most `wanted - 1` different `_id` values, in the server's order.
pub(in crate::sync) async fn sampled_bounds(
    client: &Client,
    namespace: &Namespace,
    wanted: u64,
) -> Result<Vec<RawDocumentBuf>, Error> {
    let samples = i64::try_from(wanted * SAMPLES_A_PARTITION).unwrap_or(i64::MAX);
    let mut pipeline = RawArrayBuf::new();
    pipeline.push(rawdoc! { "$sample": { "size": samples } });
    pipeline.push(rawdoc! { "$project": { "_id": 1 } });
    // All samples are held at once.
    let largest = i32::try_from(MAX_BOUND_BYTES).unwrap_or(i32::MAX);
    let is_small = rawdoc! { "$lte": [{ "$bsonSize": { "_id": "$_id" } }, largest] };
    pipeline.push(rawdoc! { "$match": { "$expr": is_small } });
    pipeline.push(rawdoc! { "$sort": { "_id": 1 } });
    let database = client.database(&namespace.database);
    let sampled = listing::aggregate(&database, &namespace.collection, pipeline).await?;
    let step = usize::try_from(SAMPLES_A_PARTITION).unwrap_or(1);
    let mut bounds: Vec<_> = sampled.into_iter().skip(step).step_by(step).collect();
    bounds.dedup();
    bounds.retain(|bound| can_be_bound(bound));
    Ok(bounds)
}

fn between(namespace_id: &str, bounds: Vec<RawDocumentBuf>) -> Vec<PartitionDocument> {
    let lowers = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
    let uppers = bounds
        .iter()
        .cloned()
        .map(Some)
        .chain(std::iter::once(None));
    lowers
        .zip(uppers)
        .enumerate()
        .map(|(number, (lower, upper))| PartitionDocument {
            id: format!("{namespace_id}:{number}"),
            namespace_id: namespace_id.to_owned(),
            lower,
            upper,
            last_id: None,
            documents: 0,
            bytes: 0,
            done: false,
            begun: false,
            begun_at: None,
            done_at: None,
            compare: false,
            suspect: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_meet_and_have_no_outer_bounds() {
        let bounds = vec![rawdoc! { "_id": 5 }, rawdoc! { "_id": "x" }];
        let partitions = between("n", bounds.clone());
        assert_eq!(partitions.len(), 3);
        assert!(partitions[0].lower.is_none() && partitions[2].upper.is_none());
        for (pair, bound) in partitions.windows(2).zip(&bounds) {
            assert_eq!(
                (pair[0].upper.as_ref(), pair[1].lower.as_ref()),
                (Some(bound), Some(bound))
            );
        }
        assert_eq!(between("n", Vec::new()).len(), 1);
    }
}
