//! Components and their bytes.

use serde::{Deserialize, Serialize};

/// Collection `components`: pinned and uploaded components. Since release 0.1.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentDocument {
    /// `sha256:` and the hash of the bytes, in hex.
    #[serde(rename = "_id")]
    pub digest: String,
    /// Name of the component, as its `describe` returns it.
    pub name: String,
    /// Semantic version of the component.
    pub version: String,
    /// Size of the component, in bytes.
    pub bytes: i64,
    /// Number of chunks in `componentChunks`.
    pub chunks: i32,
}

/// Collection `componentChunks`: the bytes of components, since a document holds 16 MiB at most. Since
/// release 0.1.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentChunkDocument {
    /// `DIGEST:NUMBER`.
    #[serde(rename = "_id")]
    pub id: String,
    /// Digest of the whole component, `_id` of its document in `components`.
    pub digest: String,
    /// Position of the chunk in the component, from 0.
    pub number: i32,
    /// At most 8 MiB of the component; every chunk but the last has this size.
    pub bytes: bson::Binary,
}
