//! Cluster times and positions, as the API writes them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::ClusterTime;

#[derive(Serialize, ToSchema)]
pub(super) struct Positions {
    /// What a restart resumes from.
    safe: Position,
    /// What is applied.
    reported: Position,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Position {
    cluster_time: Option<Time>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Time {
    /// Seconds.
    #[serde(rename = "T")]
    seconds: u32,
    /// Ordinal within the second.
    #[serde(rename = "I")]
    increment: u32,
}

impl Positions {
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
