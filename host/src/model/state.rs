//! Public states of a sync, with mongosync's names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A state of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    Idle,
    Running,
    Paused,
    Committing,
    Committed,
    Reversing,
}

/// A state-changing call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Start,
    Pause,
    Resume,
    Commit,
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
