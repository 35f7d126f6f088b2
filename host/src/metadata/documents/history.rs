//! The course of a sync.

use serde::{Deserialize, Serialize};

use crate::model::history::History;

/// Collection `history`: one document, for the console. Since tidegate 0.6.0, in metadata of any version: earlier
/// releases pass it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryDocument {
    /// Always [`HistoryDocument::ID`].
    #[serde(rename = "_id")]
    pub id: String,
    /// Id of the sync.
    pub sync: String,
    /// The course.
    #[serde(flatten)]
    pub history: History,
}

impl HistoryDocument {
    /// `_id` of the only document.
    pub const ID: &'static str = "history";
}
