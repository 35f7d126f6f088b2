//! Public states of a sync, with mongosync's names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A state of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// No sync has been started.
    Idle,
    /// The initial sync, then the application of change events.
    Running,
    /// The work has stopped, on request or after a failure, and can be resumed.
    Paused,
    /// The cutover: the remaining events, then the restore of relaxed settings.
    Committing,
    /// The sync is complete, and applications may write to the destination.
    Committed,
    /// A sync in the other direction is prepared. Not in this release.
    Reversing,
}

/// A state-changing call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST /api/v1/start`.
    Start,
    /// `POST /api/v1/pause`.
    Pause,
    /// `POST /api/v1/resume`.
    Resume,
    /// `POST /api/v1/commit`.
    Commit,
    /// `POST /api/v1/reverse`, which this release refuses.
    Reverse,
}

impl State {
    /// The state-changing calls that this state allows.
    pub fn allowed_calls(self) -> &'static [Call] {
        match self {
            Self::Idle => &[Call::Start],
            Self::Running => &[Call::Pause, Call::Commit],
            Self::Paused => &[Call::Resume],
            Self::Committing | Self::Reversing => &[],
            Self::Committed => &[Call::Reverse],
        }
    }

    /// True if this state allows the call.
    pub fn allows(self, call: Call) -> bool {
        self.allowed_calls().contains(&call)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "IDLE",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Committing => "COMMITTING",
            Self::Committed => "COMMITTED",
            Self::Reversing => "REVERSING",
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Commit => "commit",
            Self::Reverse => "reverse",
        })
    }
}
