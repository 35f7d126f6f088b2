//! Components and their bytes.

use serde::{Deserialize, Serialize};

/// Collection `components`: pinned and uploaded components.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentDocument {
    /// `sha256:` and the hash of the bytes, in hex.
    #[serde(rename = "_id")]
    pub digest: String,
    pub name: String,
    pub version: String,
    pub bytes: i64,
    pub chunks: i32,
}

/// Collection `componentChunks`: the bytes of components, since a document holds 16 MiB at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentChunkDocument {
    /// `DIGEST:NUMBER`.
    #[serde(rename = "_id")]
    pub id: String,
    pub digest: String,
    pub number: i32,
    pub bytes: bson::Binary,
}
