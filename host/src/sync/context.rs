//! The state that all parts of a sync's work share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    Error, Record,
    budget::Budget,
    catalog::scope::Scope,
    hidden_ddl_flag::HiddenDdlFlag,
    items::ItemHolders,
    partitions::PartitionMap,
    quarantine::Quarantine,
    status::Status,
    throttle::Throttle,
    verification::{Verification, VerifiedClusters},
    workers::Workers,
};
use crate::{
    metadata,
    model::StartOptions,
    mongo::{Client, Destination},
    plugin::Chain,
};

/// The name of the source in error messages.
pub(super) const SOURCE: &str = "the source";

/// The clusters, the metadata and the shared state of a sync's work.
pub(crate) struct Context {
    /// The cluster that is read.
    pub(crate) source: Client,
    /// The cluster that is written, within the fence of this host's lease.
    pub(crate) destination: Destination,
    /// The metadata, for the holder of the lease.
    pub(crate) store: metadata::Store,
    /// The namespaces in scope.
    pub(crate) scope: Scope,
    /// The plugins that transform documents.
    pub(crate) chain: Arc<Chain>,
    /// The documents that plugins could not handle.
    pub(crate) quarantine: Quarantine,
    /// The options of the start.
    pub(crate) options: StartOptions,
    /// The session of the sync.
    pub(crate) record: Arc<Record>,
    /// The number of workers and of appliers.
    pub(crate) workers: Workers,
    /// The collections that are being copied.
    pub(crate) partitions: Arc<PartitionMap>,
    /// Bytes of a partition.
    pub(crate) partition_bytes: u64,
    /// The memory budget of the copy.
    pub(crate) copy_budget: Budget,
    /// The memory budget of the look-ups.
    pub(crate) look_up_budget: Budget,
    /// The delays for the clusters.
    pub(crate) throttle: Throttle,
    /// The comparison of both clusters.
    pub(crate) verification: Arc<Verification>,
    /// Other hosts, which get a part of the work.
    pub(crate) holders: Arc<ItemHolders>,
    /// Whether DDL without an event asks for a resync.
    pub(crate) hidden_ddl: HiddenDdlFlag,
    /// The live figures, for `/progress`.
    pub(crate) status: Arc<Status>,
    /// Asks all work to stop at the next safe place.
    pub(crate) cancel: CancellationToken,
}

impl Context {
    /// The clusters, for the verification.
    pub(crate) fn verified_clusters(&self) -> VerifiedClusters {
        VerifiedClusters::new(&self.source, &self.destination, &self.store, &self.holders)
    }

    /// Ends work that was asked to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}
