//! Reports of the copy's workers to the event loop.

use tokio::sync::mpsc;

use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::{ClusterTime, event::CollectionUuid},
    sync::Error,
};

/// A report of a worker to the event loop.
pub(in crate::sync) enum CopyReport {
    /// Collections exist on the destination, with these UUIDs there, and their partitions are planned.
    Planned(Vec<(CollectionUuid, Option<String>)>),
    /// Every document of a partition was read up to a time, and is durable or parked.
    Done {
        /// The collection, and the generation of its plan.
        plan: (CollectionUuid, u64),
        /// The partition as it is to be persisted.
        partition: PartitionDocument,
        /// F: its documents are of no later time.
        at: ClusterTime,
    },
    /// The indexes of a collection are built, as far as they can be.
    IndexesBuilt {
        /// The collection.
        uuid: CollectionUuid,
        /// The namespace as it was built.
        namespace: NamespaceDocument,
    },
    /// A worker has failed, which ends the work.
    Failed(Error),
}

/// The reports of a pool, for its workers.
pub(super) type Reports = mpsc::UnboundedSender<CopyReport>;
