//! Values about shadows for operators: builds that are given the documents of components in use, and whose answers are
//! compared and never written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Namespace;

/// A request to give the documents of a component to another build, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowRequest {
    /// Name of the component in use, and of the other build.
    pub name: String,
    /// The digest of the other build, or its place in a registry.
    pub component: String,
    /// Whether samples keep both answers, for operators.
    pub contents: bool,
}

/// The figures of a shadow, since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowProgress {
    /// The component's use in the sync: `documentFilter`, `plugins[0]`, ….
    pub slot: String,
    /// Name of the component.
    pub name: String,
    /// Version of the shadow.
    pub version: String,
    /// `sha256:` and the lower-case hex digest of the shadow.
    pub digest: String,
    /// The digest of the component in use, whose answers are compared.
    pub against: String,
    /// Documents that were compared.
    pub documents: u64,
    /// Documents of these with different answers.
    pub different: u64,
    /// Documents that were not given to the shadow, because it was behind.
    pub skipped: u64,
    /// Documents of batches on which the shadow failed as a whole.
    pub failed: u64,
    /// Calls that ended in a trap.
    pub traps: u64,
    /// Median duration of a call in microseconds.
    pub p50_us: u64,
    /// 99th percentile of the duration of a call in microseconds.
    pub p99_us: u64,
    /// The reason of the newest failure of a batch.
    pub failure: Option<String>,
    /// The reason for which it is given no more documents; `None` while it is.
    pub end: Option<ShadowEnd>,
}

/// The reason for which a shadow is given no more documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowEnd {
    /// Another component is in use than at its beginning.
    Swapped,
    /// It has trapped too often.
    Traps,
}

impl ShadowEnd {
    /// The word for the reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Traps => "traps",
        }
    }
}

/// The figures of a shadow, and the documents that it answers differently.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShadowReport {
    /// The figures.
    pub progress: ShadowProgress,
    /// Documents by the paths at which their answers differ.
    pub paths: BTreeMap<String, u64>,
    /// The first documents with different answers.
    pub samples: Vec<ShadowSample>,
}

/// A document with different answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowSample {
    /// Namespace of the document on the source.
    pub namespace: Namespace,
    /// The document's `_id`, as relaxed Extended JSON.
    pub document_id: Value,
    /// The answer of the component in use.
    pub current: ShadowAnswer,
    /// The answer of the shadow.
    pub shadow: ShadowAnswer,
    /// The paths at which the answers differ; empty unless both are documents.
    pub paths: Vec<String>,
}

/// An answer about a document.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowAnswer {
    /// `kept`, `dropped`, `replaced` or `quarantined`.
    pub outcome: &'static str,
    /// The document that the answer stands for, as relaxed Extended JSON, if contents were asked for.
    pub content: Option<Value>,
}
