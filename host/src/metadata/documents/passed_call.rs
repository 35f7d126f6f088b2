//! Calls of the API that a host passes on to the leader.

use bson::DateTime;
use serde::{Deserialize, Serialize};

/// State of a passed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PassedCallState {
    /// No host carries it out. It can be withdrawn.
    Waiting,
    /// The host that was called has given up. It is never carried out.
    Withdrawn,
    /// A leader carries it out.
    Taken,
    /// The leader has answered.
    Answered,
}

/// Collection `passedCalls`: a call that a standby has admitted, for the leader. Since tidegate 0.7.0, in metadata of any
/// version: earlier releases pass it over.
///
/// Each state follows from the one before by a conditional update, so a call is carried out at most once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassedCallDocument {
    /// Random.
    #[serde(rename = "_id")]
    pub id: String,
    /// Path of the call, as `/api/v1/pause`.
    pub path: String,
    /// Body of the call.
    pub body: String,
    /// Name of the caller.
    pub who: String,
    /// Role of the caller.
    pub role: String,
    /// Id of the record of the call.
    pub record: String,
    /// `--id` of the host that was called.
    pub instance: String,
    /// The state.
    pub state: PassedCallState,
    /// By the destination's clock: no leader takes the call from then on.
    pub expires_at: DateTime,
    /// Id of the process that has taken the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Body of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}
