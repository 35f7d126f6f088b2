//! Boundaries of the verification.

use std::sync::Arc;

use super::DirtyKeys;
use crate::{
    model::{ClusterTime, Namespace, Position, event::CollectionUuid},
    mongo::write::CollectionRef,
    plugin::NamespaceChain,
};

/// A collection of a sync, as of a boundary.
pub(crate) struct SyncedCollection {
    /// Its UUID on the source.
    pub(crate) uuid: CollectionUuid,
    /// Its name on the source.
    pub(crate) source: Namespace,
    /// The collection on the destination.
    pub(crate) destination: CollectionRef,
    /// The host does not know the order of its `_id`s.
    pub(crate) collated: bool,
    /// The plugins that see its documents.
    pub(crate) chain: Option<NamespaceChain>,
}

/// Two times at which the clusters are equal.
pub(crate) struct VerificationBoundary {
    /// The source's cluster time.
    pub(crate) at: ClusterTime,
    /// The destination's cluster time.
    pub(crate) destination: ClusterTime,
    /// The stream after this position has the events after the boundary.
    pub(crate) position: Position,
    /// Keys of documents that have changed since the last boundary.
    pub(crate) dirty: DirtyKeys,
    /// The collections with snapshots.
    pub(crate) collections: Vec<Arc<SyncedCollection>>,
    /// Digests of the sync's components, in the order of its pins.
    pub(crate) pins: Arc<[String]>,
}

impl SyncedCollection {
    /// The collection on the source.
    pub(super) fn on_source(&self) -> CollectionRef {
        CollectionRef {
            namespace: self.source.clone(),
            uuid: Some(self.uuid),
        }
    }
}

impl std::fmt::Debug for VerificationBoundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationBoundary")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
