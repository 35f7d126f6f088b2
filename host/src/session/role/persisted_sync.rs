//! A persisted sync: the metadata of a sync on one of the two clusters.
//!
//! The cluster that holds the metadata is the destination.

use crate::{
    metadata::{self, SYSTEM_EVENTS_VERSION, SessionHeader},
    model::{ErrorName, OperatorError, options::ClusterName},
    mongo::{Cluster, is_connected, preflight::Identity},
};

/// The first metadata version in which every host holds a lease.
pub(crate) const FIRST_WITH_LEASE: i32 = 2;

/// The `appName` of hosts without a lease, up to release 0.1.1.
const WITHOUT_LEASE: [&str; 2] = ["tidegate 0.1.0", "tidegate 0.1.1"];

/// A sync that has metadata.
#[derive(Clone)]
pub(crate) struct PersistedSync {
    pub(crate) source: Cluster,
    pub(crate) destination: Cluster,
    /// Metadata for reading.
    pub(crate) reader: metadata::Reader,
    /// The part of the session that every release can read.
    pub(crate) header: SessionHeader,
}

/// Looks for metadata on both clusters. Only reads. A reverse leaves the session of the old direction for a moment: of two
/// sessions the one with more reversals counts.
pub(crate) async fn find(clusters: &[Cluster; 2]) -> Result<Option<PersistedSync>, OperatorError> {
    let [cluster0, cluster1] = clusters;
    let mut found: Option<PersistedSync> = None;
    for (destination, source) in [(cluster0, cluster1), (cluster1, cluster0)] {
        let reader = metadata::Reader::new(&destination.client);
        let Some(header) = reader.header().await? else {
            continue;
        };
        let known = found.as_ref().map(|found| found.header.reversals);
        if known.is_none_or(|known| known < header.reversals) {
            found = Some(PersistedSync {
                source: source.clone(),
                destination: destination.clone(),
                reader,
                header,
            });
        }
    }
    Ok(found)
}

impl PersistedSync {
    /// Refuses metadata of a newer version, and metadata of a sync between other clusters. Only reads.
    pub(crate) fn refuse_unknown(&self, identities: &[Identity; 2]) -> Result<(), OperatorError> {
        if self.header.metadata_version > SYSTEM_EVENTS_VERSION {
            return Err(newer_version(&self.header));
        }
        let [identity0, identity1] = identities;
        let (source, destination) = match self.destination.name {
            ClusterName::Cluster0 => (identity1, identity0),
            ClusterName::Cluster1 => (identity0, identity1),
        };
        refuse_other_clusters(&self.header, self.destination.name, source, destination)
    }

    /// Whether a host of a release without a lease is connected to the destination.
    pub(crate) async fn is_worked_on_without_lease(&self) -> Result<bool, OperatorError> {
        if self.header.metadata_version >= FIRST_WITH_LEASE {
            return Ok(false);
        }
        Ok(is_connected(&self.destination.client, &WITHOUT_LEASE).await?)
    }
}

fn newer_version(header: &SessionHeader) -> OperatorError {
    let (version, release) = (header.metadata_version, &header.written_by);
    OperatorError::new(
        ErrorName::MetadataVersionNotSupported,
        format!(
            "The destination's metadata has version {version}, written by {release}; this release supports version \
             {SYSTEM_EVENTS_VERSION}. Nothing was changed. Use release {release} or a later one."
        ),
    )
}

fn refuse_other_clusters(
    header: &SessionHeader,
    destination_name: ClusterName,
    source: &Identity,
    destination: &Identity,
) -> Result<(), OperatorError> {
    let named = header.options.as_ref();
    let swapped = named.is_some_and(|options| options.destination != destination_name);
    let other_source = header.source_id != source.replica_set_id.to_hex();
    let other_destination = header.destination_id != destination.replica_set_id.to_hex();
    if !swapped && !other_source && !other_destination {
        return Ok(());
    }
    let holder = destination_name.as_str();
    if header.is_committed() {
        return Err(OperatorError::new(
            ErrorName::ClustersMismatch,
            format!(
                "{holder} holds the metadata of a COMMITTED sync between other clusters. To start the next sync, \
                 drop the database mongosync_internal_tidegate on {holder}, and nothing else: its other databases \
                 may be in use. docs/next-sync.md has the steps."
            ),
        ));
    }
    let what = match (swapped, other_source) {
        (true, _) => "cluster0 and cluster1 are swapped",
        (_, true) => "the source is another cluster",
        _ => "the destination is another cluster, and holds a copy of the metadata",
    };
    Err(OperatorError::new(
        ErrorName::ClustersMismatch,
        format!(
            "{holder} holds the metadata of an unfinished sync between other clusters: {what}. Start with the \
             connection strings of that sync; or, to abandon it, drop the database mongosync_internal_tidegate on \
             {holder}, as docs/abort.md describes."
        ),
    ))
}
