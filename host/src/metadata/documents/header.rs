//! Parts of the session that releases of other metadata versions can read.

use serde::Deserialize;

use super::session::{Phase, SessionDocument, UpgradeDocument};
use crate::model::{State, options::ClusterName};

const COMMITTED: &str = "COMMITTED";

/// Fields of the session in all metadata versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionHeader {
    pub metadata_version: i32,
    /// The release that worked on the sync last; in version 1, the release that began it.
    #[serde(default)]
    pub written_by: String,
    /// The release that began the sync; absent in version 1.
    #[serde(default)]
    pub begun_by: Option<String>,
    #[serde(default)]
    pub source_id: String,
    #[serde(default)]
    pub destination_id: String,
    #[serde(default)]
    pub options: Option<SessionHeaderOptions>,
    /// Name of a state. Later releases may have other states.
    #[serde(default)]
    pub state: Option<String>,
}

/// Options of the sync in all metadata versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SessionHeaderOptions {
    pub destination: ClusterName,
}

/// State of a sync for a standby, in all versions that this release can read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    pub metadata_version: i32,
    pub state: State,
    pub phase: Phase,
    #[serde(default)]
    pub total_bytes: i64,
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub upgrades: Vec<UpgradeDocument>,
    pub options: SessionSummaryOptions,
}

/// Options of the sync, for a standby.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SessionSummaryOptions {
    pub source: ClusterName,
    pub destination: ClusterName,
}

impl From<&SessionDocument> for SessionHeader {
    fn from(session: &SessionDocument) -> Self {
        Self {
            metadata_version: session.metadata_version,
            written_by: session.written_by.clone(),
            begun_by: Some(session.begun_by.clone()),
            source_id: session.source_id.clone(),
            destination_id: session.destination_id.clone(),
            options: Some(SessionHeaderOptions {
                destination: session.options.destination,
            }),
            state: Some(session.state.to_string()),
        }
    }
}

impl SessionHeader {
    /// True if the sync is finished, so that no work is left.
    pub fn is_committed(&self) -> bool {
        self.state.as_deref() == Some(COMMITTED)
    }

    /// The release that began the sync.
    pub fn begun_by(&self) -> &str {
        self.begun_by.as_deref().unwrap_or(&self.written_by)
    }
}
