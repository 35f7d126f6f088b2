//! Wire form of a resync and of comparisons.

use serde::Serialize;
use utoipa::ToSchema;

use super::position::Time;
use crate::model::progress::{ComparisonProgress, ResyncProgress};

/// The newest resync: the source's oplog no longer held the position.
#[derive(Serialize, ToSchema)]
#[schema(as = Resync)]
pub(super) struct ResyncBody {
    /// By the destination's clock, RFC 3339.
    at: String,
    reason: String,
    /// The lost position.
    from: Time,
    /// The position from which the sync went on; null until it is persisted.
    to: Option<Time>,
    /// Whether all collections are compared.
    done: bool,
}

/// Comparisons with the source since the start of this host.
#[derive(Serialize, ToSchema)]
#[schema(as = Comparison)]
pub(super) struct ComparisonBody {
    /// Documents of the source that were compared.
    documents: u64,
    /// Bytes of these documents, uncompressed.
    bytes: u64,
    /// Documents that were missing, extra or different on the destination, and are written.
    differences: u64,
}

impl From<ResyncProgress> for ResyncBody {
    fn from(resync: ResyncProgress) -> Self {
        Self {
            at: resync.at,
            reason: resync.reason,
            from: resync.from.into(),
            to: resync.to.map(Time::from),
            done: resync.done,
        }
    }
}

impl From<ComparisonProgress> for ComparisonBody {
    fn from(comparison: ComparisonProgress) -> Self {
        Self {
            documents: comparison.documents,
            bytes: comparison.bytes,
            differences: comparison.differences,
        }
    }
}
