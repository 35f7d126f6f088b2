//! Hooks: occurrences in a sync that programs and web servers of an operator receive.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An occurrence in a sync, in the order in which a sync has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a string")]
pub enum HookEvent {
    /// All documents are copied.
    Copied,
    /// A commit is possible for the first time.
    CaughtUp,
    /// A commit was requested. Its hooks may refuse it.
    BeforeCommit,
    /// Applications may write to the destination.
    CanWrite,
    /// The sync is done.
    Committed,
    /// The work has stopped by a failure.
    Failed,
    /// Another release has taken the sync over.
    Upgraded,
    /// A verification has found a difference between the clusters.
    Mismatch,
}

impl HookEvent {
    /// The name in hook files, payloads and metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::CaughtUp => "caughtUp",
            Self::BeforeCommit => "beforeCommit",
            Self::CanWrite => "canWrite",
            Self::Committed => "committed",
            Self::Failed => "failed",
            Self::Upgraded => "upgraded",
            Self::Mismatch => "mismatch",
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
