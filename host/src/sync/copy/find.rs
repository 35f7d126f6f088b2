//! The `find` commands of a partition's copy: by the `_id` index within the partition's bounds, or
//! in natural order.

use bson::{RawBson, RawBsonRef, RawDocumentBuf, rawdoc};

use crate::{metadata::PartitionDocument, model::ClusterTime};

/// A way to read documents of a partition.
#[derive(Clone, Copy)]
pub(super) enum ReadMode {
    /// All documents of a capped collection, in the order of insertion.
    Natural,
    /// From the last copied document, or the lower bound, to the upper bound.
    Range,
    MaxKey,
}

impl ReadMode {
    /// The reads that are left for a partition. A range without an upper bound leaves out the
    /// document with the `_id` MaxKey, which is read on its own.
    pub(super) fn all(is_capped: bool, partition: &PartitionDocument) -> Vec<Self> {
        if is_capped {
            return vec![Self::Natural];
        }
        let is_max =
            |bound: &RawDocumentBuf| matches!(bound.get("_id"), Ok(Some(RawBsonRef::MaxKey)));
        if partition.last_id.as_ref().is_some_and(is_max) {
            return Vec::new();
        }
        match (&from(partition), &partition.upper) {
            // A bound of an earlier release. No range begins at MaxKey.
            (Some(from), _) if is_max(from) => vec![Self::MaxKey],
            (Some(_), None) => vec![Self::Range, Self::MaxKey],
            _ => vec![Self::Range],
        }
    }
}

/// The last copied document, or the lower bound.
fn from(partition: &PartitionDocument) -> Option<&RawDocumentBuf> {
    partition.last_id.as_ref().or(partition.lower.as_ref())
}

/// The reads of a collection.
pub(super) struct FindCommand {
    /// Reads see every write up to this time.
    pub(super) after: ClusterTime,
    /// Documents in a reply at most.
    pub(super) batch_documents: u64,
}

impl FindCommand {
    /// The fields of the command, without the collection's name and UUID.
    pub(super) fn fields(&self, read: ReadMode, partition: &PartitionDocument) -> RawDocumentBuf {
        let mut command = RawDocumentBuf::new();
        match read {
            ReadMode::Natural => command.append(bson::cstr!("hint"), rawdoc! { "$natural": 1 }),
            ReadMode::MaxKey => {
                command.append(bson::cstr!("filter"), rawdoc! { "_id": RawBson::MaxKey })
            }
            ReadMode::Range => {
                command.append(bson::cstr!("hint"), rawdoc! { "_id": 1 });
                append_bounds(&mut command, from(partition), partition.upper.as_ref());
            }
        }
        command.append(
            bson::cstr!("batchSize"),
            i64::try_from(self.batch_documents).unwrap_or(i64::MAX),
        );
        command.append(
            bson::cstr!("readConcern"),
            rawdoc! { "level": "majority", "afterClusterTime": bson::Timestamp::from(self.after) },
        );
        command
    }
}

/// Bounds a scan of the `_id` index. `min` and `max` accept bounds of any type, while comparisons
/// match a single type. Between two bounds of one type lie only values of that type, and there
/// comparisons cost the source a fifth less.
pub(in crate::sync) fn append_bounds(
    command: &mut RawDocumentBuf,
    from: Option<&RawDocumentBuf>,
    upper: Option<&RawDocumentBuf>,
) {
    let value = |bound: &RawDocumentBuf| bound.get("_id").ok().flatten().map(RawBson::from);
    if let (Some(from), Some(upper)) = (from.and_then(value), upper.and_then(value))
        && is_of_one_type(&from, &upper)
    {
        let range = rawdoc! { "$gte": from, "$lt": upper };
        command.append(bson::cstr!("filter"), rawdoc! { "_id": range });
        return;
    }
    if let Some(from) = from {
        command.append(bson::cstr!("min"), from.clone());
    }
    if let Some(upper) = upper {
        command.append(bson::cstr!("max"), upper.clone());
    }
}

/// Whether comparisons between the two values leave nothing out: both are of one common `_id` type,
/// and neither is NaN.
fn is_of_one_type(a: &RawBson, b: &RawBson) -> bool {
    let number = |value: &RawBson| match value {
        RawBson::Int32(_) | RawBson::Int64(_) => true,
        RawBson::Double(double) => !double.is_nan(),
        _ => false,
    };
    match (a, b) {
        (RawBson::ObjectId(_), RawBson::ObjectId(_)) | (RawBson::String(_), RawBson::String(_)) => {
            true
        }
        _ => number(a) && number(b),
    }
}
