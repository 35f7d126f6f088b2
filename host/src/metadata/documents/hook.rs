//! Occurrences for hooks.

use bson::Document;
use serde::{Deserialize, Serialize};

use crate::model::hook::HookEvent;

/// Collection `hooks`: an occurrence, and the hooks that have not received it. Written by hosts with hooks alone. Since
/// tidegate 0.5.0, in metadata of any version: other hosts pass it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookDocument {
    /// Id of the sync, the event, and a distinction of occurrences of the same event. The receiver drops repeats by it.
    #[serde(rename = "_id")]
    pub id: String,
    /// The event.
    pub event: HookEvent,
    /// By the destination's clock; absent if the destination did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<bson::DateTime>,
    /// A sentence for the operator, without contents of documents.
    pub message: String,
    /// Values of the event, without contents of documents.
    #[serde(default)]
    pub details: Document,
    /// Whether the occurrence is a fact of the session. It is kept when all hooks have received it, so that it is not sent
    /// again; any other is removed then.
    pub fact: bool,
    /// Names of the hooks that have to receive the occurrence and have not yet.
    pub pending: Vec<String>,
}
