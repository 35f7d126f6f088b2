//! The safe position of the stream.

use serde::{Deserialize, Serialize};

use super::partition::CopyTotals;
use crate::model::{ClusterTime, Position};

/// Collection `streamPosition`: one document. Named `position` before metadata version 3.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionDocument {
    /// Always [`PositionDocument::ID`].
    #[serde(rename = "_id")]
    pub id: String,
    /// The safe position. Invariant: all events at or before it are durable on the destination.
    #[serde(flatten)]
    pub safe: Position,
    /// Documents on the destination may contain updates up to this time: such updates are never applied as
    /// deltas.
    pub exact_after: ClusterTime,
    /// Change events applied since the start of the sync, for display.
    pub events_applied: i64,
    /// True if the host stopped without events applied after `safe`.
    pub clean: bool,
    /// Totals of the copy, including dropped collections. Since metadata version 2.
    #[serde(default)]
    pub copied: CopyTotals,
}

impl PositionDocument {
    /// `_id` of the only document.
    pub const ID: &'static str = "position";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A position of a host of 0.1.0. It must parse while version 1 is supported.
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
