//! The two clusters of a verification, and its options.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{ClusterTime, StartOptions, options::BuildIndexes},
    mongo::{self, Client, Cluster, listing},
    observe::smaller,
    plugin::{Chain, Router},
    sync::{catalog::scope::Scope, comparison::Strictness, copy::PARTITION_BYTES},
};

/// The options of a verification that are not options of a sync.
#[derive(Clone, Copy, Debug)]
pub struct PairOptions {
    /// The time for which a difference has to stay as it is, to be a mismatch.
    pub settle: Duration,
    /// The time after which a difference that keeps changing is given up.
    pub patience: Duration,
    /// Mismatches after which the verification ends; `None` for no bound.
    pub max_mismatches: Option<u64>,
    /// Whether a sync is running, which restores views, unique indexes and other settings at its commit.
    pub before_commit: bool,
    /// Whether the report holds documents.
    pub show_documents: bool,
    /// Partitions that are compared in parallel.
    pub workers: usize,
}

/// Two clusters that a tool has synced. Invariant: nothing here writes to a cluster.
pub struct ClusterPair {
    pub(super) source: Client,
    pub(super) destination: Client,
    pub(super) scope: Scope,
    pub(super) chain: Arc<Chain>,
    pub(super) start: StartOptions,
    pub(super) options: PairOptions,
    /// Bytes of a partition.
    pub(super) partition_bytes: u64,
}

impl ClusterPair {
    /// The clusters of a sync with the options `start`, whose components are configured in `router` and `chain`.
    pub fn new(
        (source, destination): (&Cluster, &Cluster),
        (router, chain): (Arc<Router>, Arc<Chain>),
        start: StartOptions,
        options: PairOptions,
    ) -> Self {
        Self {
            source: side(source, "the source"),
            destination: side(destination, "the destination"),
            scope: Scope::new(router, true),
            chain,
            start,
            options,
            partition_bytes: smaller("TIDEGATE_PARTITION_BYTES", PARTITION_BYTES),
        }
    }

    /// The settings of collections that are compared.
    pub(super) fn strictness(&self) -> Strictness {
        Strictness {
            is_committed: !self.options.before_commit,
            has_indexes: self.start.build_indexes != BuildIndexes::Never,
        }
    }

    /// The newest times of source and destination. A read at such a time sees every earlier write.
    pub(super) async fn times(&self) -> Result<(ClusterTime, ClusterTime), mongo::Error> {
        let (source, destination) = tokio::join!(
            listing::operation_time(&self.source),
            listing::operation_time(&self.destination)
        );
        Ok((source?, destination?))
    }
}

fn side(cluster: &Cluster, name: &'static str) -> Client {
    cluster.client.with_name(name).with_unknown_features()
}
