//! Wire form of cluster times and positions.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::ClusterTime;

/// The two positions of a sync in the change stream.
#[derive(Serialize, ToSchema)]
pub(super) struct Positions {
    /// Persisted position, from which a restart resumes.
    safe: Position,
    /// Position up to which events are applied.
    reported: Position,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Position {
    cluster_time: Option<Time>,
}

/// A cluster time.
#[derive(Serialize, ToSchema)]
pub(super) struct Time {
    /// Seconds since the Unix epoch.
    #[serde(rename = "T")]
    seconds: u32,
    /// Ordinal within the second.
    #[serde(rename = "I")]
    increment: u32,
}

impl Positions {
    /// The positions of a snapshot. A position that is unknown yet has no time.
    pub(super) fn new(safe: Option<ClusterTime>, reported: Option<ClusterTime>) -> Self {
        Self {
            safe: Position::new(safe),
            reported: Position::new(reported),
        }
    }
}

impl Position {
    fn new(time: Option<ClusterTime>) -> Self {
        Self {
            cluster_time: time.map(Time::from),
        }
    }
}

impl From<ClusterTime> for Time {
    fn from(time: ClusterTime) -> Self {
        Self {
            seconds: time.seconds,
            increment: time.increment,
        }
    }
}
