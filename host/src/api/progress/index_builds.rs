//! The index builds of `GET /progress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::{IndexFailure, IndexProgress};

/// Progress of the index builds on the destination.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IndexBuilding)]
pub(super) struct IndexBuilds {
    indexes_built: u64,
    total_indexes_to_build: u64,
    collections_finished: u64,
    collections_total: u64,
    /// Builds that the destination has refused, of this process. The commit builds them again.
    failed: Vec<FailedIndex>,
}

/// An index that is not built.
#[derive(Serialize, ToSchema)]
struct FailedIndex {
    /// Namespace on the source.
    namespace: String,
    /// Name of the index.
    index: String,
    /// The error, without values of documents.
    reason: String,
}

impl IndexBuilds {
    pub(super) fn new(indexes: IndexProgress, failures: Vec<IndexFailure>) -> Self {
        Self {
            failed: failures.into_iter().map(FailedIndex::from).collect(),
            indexes_built: indexes.built,
            total_indexes_to_build: indexes.total,
            collections_finished: indexes.collections_finished,
            collections_total: indexes.collections_total,
        }
    }
}

impl From<IndexFailure> for FailedIndex {
    fn from(failure: IndexFailure) -> Self {
        Self {
            namespace: failure.namespace.to_string(),
            index: failure.index,
            reason: failure.reason,
        }
    }
}
