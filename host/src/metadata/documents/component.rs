//! Components and their bytes.

use serde::{Deserialize, Serialize};

/// Collection `components`: one a component that the sync is pinned to, or that was uploaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentDocument {
    /// `sha256:` and the digest of its bytes.
    #[serde(rename = "_id")]
    pub digest: String,
    pub name: String,
    pub version: String,
    pub bytes: i64,
    pub chunks: i32,
}

/// Collection `componentChunks`: a component's bytes in order; a document holds 16 MiB at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentChunkDocument {
    /// The component's digest and the chunk's number.
    #[serde(rename = "_id")]
    pub id: String,
    pub digest: String,
    pub number: i32,
    pub bytes: bson::Binary,
}
