//! The commit of a sync that is under way.

use serde::{Deserialize, Serialize};

/// A commit, from its call on. Removed when it is undone. Since metadata version 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitDocument {
    /// Time of the call, by the destination's clock.
    pub at: bson::DateTime,
    /// Seconds after which the commit is undone, unless `canWrite` has been decided; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_block_seconds: Option<i64>,
    /// Time from which applications could not write, by the destination's clock: of the source's block, or of the call
    /// where the operator keeps writers off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_at: Option<bson::DateTime>,
    /// Milliseconds between `blocked_at` and `canWrite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_ms: Option<i64>,
}
