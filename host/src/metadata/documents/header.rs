//! Parts of the session that releases of other metadata versions can read.

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::StrDeserializer},
};

use super::session::{Phase, SessionDocument, UpgradeDocument};
use crate::model::{State, options::ClusterName};

const COMMITTED: &str = "COMMITTED";

/// Fields of the session in all metadata versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionHeader {
    /// Version of the shapes of the sync's documents: see [`METADATA_VERSION`](super::METADATA_VERSION).
    pub metadata_version: i32,
    /// The release that worked on the sync last; in version 1, the release that began it.
    #[serde(default)]
    pub written_by: String,
    /// The release that began the sync; absent in version 1.
    #[serde(default)]
    pub begun_by: Option<String>,
    /// Replica set id of the source, in hex.
    #[serde(default)]
    pub source_id: String,
    /// Replica set id of the destination, in hex.
    #[serde(default)]
    pub destination_id: String,
    /// `None` if the session has none.
    #[serde(default)]
    pub options: Option<SessionHeaderOptions>,
    /// Name of a state. Later releases may have other states.
    #[serde(default)]
    pub state: Option<String>,
    /// The number of times that the sync has been reversed: of two sessions the one with more counts. Since metadata
    /// version 5.
    #[serde(default)]
    pub reversals: i64,
}

/// Options of the sync in all metadata versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SessionHeaderOptions {
    /// The cluster that is written: `cluster0` or `cluster1`. The metadata is on it.
    pub destination: ClusterName,
}

/// State of a sync for a standby, in all versions that this release can read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    /// Version of the shapes of the sync's documents: see [`METADATA_VERSION`](super::METADATA_VERSION).
    pub metadata_version: i32,
    /// Persisted state, by mongosync's names.
    pub state: State,
    /// Phase in which the work goes on after a restart.
    pub phase: Phase,
    /// Estimate at the start, in bytes of uncompressed documents.
    #[serde(default)]
    pub total_bytes: i64,
    /// Warnings of the preflight and of takeovers.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// All live upgrades, oldest first. Since metadata version 2.
    #[serde(default)]
    pub upgrades: Vec<UpgradeDocument>,
    /// The clusters of the sync.
    pub options: SessionSummaryOptions,
}

/// Options of the sync, for a standby.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SessionSummaryOptions {
    /// The cluster that is read.
    pub source: ClusterName,
    /// The cluster that is written.
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
            reversals: session.reversals,
        }
    }
}

impl SessionHeader {
    /// True if the sync is finished, so that no work is left.
    pub fn is_committed(&self) -> bool {
        self.state.as_deref() == Some(COMMITTED)
    }

    /// The persisted state; `None` where this release does not know it.
    pub fn known_state(&self) -> Option<State> {
        let name = self.state.as_deref()?;
        let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        State::deserialize(name).ok()
    }

    /// The release that began the sync.
    pub fn begun_by(&self) -> &str {
        self.begun_by.as_deref().unwrap_or(&self.written_by)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_state_of_a_later_release_is_not_known() -> Result<(), bson::error::Error> {
        for (name, state) in [
            ("RUNNING", Some(State::Running)),
            ("COMMITTED", Some(State::Committed)),
            ("SLEEPING", None),
        ] {
            let header: SessionHeader =
                bson::deserialize_from_document(doc! { "metadataVersion": 5, "state": name })?;
            assert_eq!(header.known_state(), state);
        }
        Ok(())
    }
}
