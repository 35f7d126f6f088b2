//! Finds the metadata of a sync on one of its two clusters.

use crate::{
    metadata::{self, SessionHeader},
    model::{ErrorName, OperatorError, namespace::METADATA_DATABASE, options::ClusterName},
    mongo::{Cluster, Documents, connect},
    observe,
    session::Settings,
};

/// The metadata of a sync, and its cluster.
pub(super) struct SyncMetadata {
    pub(super) cluster: Cluster,
    pub(super) reader: metadata::Reader,
    pub(super) documents: Documents,
    pub(super) heading: SessionHeader,
}

impl SyncMetadata {
    /// Connects to both clusters, and finds the metadata.
    pub(super) async fn find(settings: &Settings) -> Result<Self, OperatorError> {
        let app_name = format!("tidegate {} metadata", observe::VERSION);
        for (name, uri) in [
            (ClusterName::Cluster0, &settings.cluster0),
            (ClusterName::Cluster1, &settings.cluster1),
        ] {
            let cluster = connect(name, uri.reveal(), &app_name).await?;
            let reader = metadata::Reader::new(&cluster.client);
            if let Some(heading) = reader.header().await? {
                let documents = Documents::new(&cluster.client, METADATA_DATABASE);
                return Ok(Self {
                    cluster,
                    reader,
                    documents,
                    heading,
                });
            }
        }
        Err(OperatorError::new(
            ErrorName::NotFound,
            "Neither cluster holds the metadata of a sync. Give the connection strings with which the sync was started.",
        ))
    }
}
