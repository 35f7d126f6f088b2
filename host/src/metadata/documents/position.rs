//! The safe position of the stream.

use serde::{Deserialize, Serialize};

use super::partition::CopyTotals;
use crate::model::{ClusterTime, Position};

/// Collection `streamPosition`: one document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionDocument {
    #[serde(rename = "_id")]
    pub id: String,
    /// The safe position: everything at or before it is durable on the destination.
    #[serde(flatten)]
    pub safe: Position,
    /// Updates at or before this time may already be part of a document on the
    /// destination: they are never applied as deltas.
    pub exact_after: ClusterTime,
    pub events_applied: i64,
    /// True when the host stopped with nothing applied beyond `safe`.
    pub clean: bool,
    /// All that was copied, also of collections that are gone.
    #[serde(default)]
    pub copied: CopyTotals,
}

impl PositionDocument {
    pub const ID: &'static str = "position";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metadata written by any 0.1.0 host: must parse for as long as version 1 is supported.
    #[test]
    fn a_position_of_version_1_parses() {
        let document = bson::rawdoc! {
            "_id": "position",
            "resumeToken": { "_data": "826553F5A1000000032B" },
            "clusterTime": bson::Timestamp { time: 0x6553_F5A1, increment: 3 },
            "exactAfter": bson::Timestamp { time: 0x6553_F5A0, increment: 1 },
            "eventsApplied": 12_i64,
            "clean": true,
        };
        let position: PositionDocument = bson::deserialize_from_slice(document.as_bytes()).unwrap();
        assert_eq!(
            position.safe.cluster_time,
            ClusterTime {
                seconds: 0x6553_F5A1,
                increment: 3
            }
        );
        assert!(position.clean);
    }
}
