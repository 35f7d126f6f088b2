//! A collection of `GET /progress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::CollectionProgress;

/// Progress of a collection.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Collection {
    /// Namespace on the source.
    namespace: String,
    /// Namespace on the destination.
    destination: String,
    state: &'static str,
    documents: u64,
    bytes: u64,
    /// Documents that are copied or changed on the destination.
    documents_per_second: f64,
}

impl Collection {
    pub(super) fn new(collection: &CollectionProgress) -> Self {
        Self {
            namespace: collection.namespace.to_string(),
            destination: collection.destination.to_string(),
            state: collection.state,
            documents: collection.documents,
            bytes: collection.bytes,
            documents_per_second: (collection.documents_per_second * 10.0).round() / 10.0,
        }
    }
}
