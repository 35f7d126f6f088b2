//! Values about plugins for operators. `api` has their wire form.

use super::Namespace;
use super::latency::LatencyHistogram;

/// Counters of a stage of the chain since the start of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginProgress {
    pub name: String,
    pub digest: String,
    pub documents: u64,
    pub kept: u64,
    pub dropped: u64,
    pub replaced: u64,
    pub quarantined: u64,
    /// Calls that the plugin answered with an error or with invalid output.
    pub errors: u64,
    pub traps: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Median duration of a call in microseconds.
    pub p50_us: u64,
    /// 99th percentile of the duration of a call in microseconds.
    pub p99_us: u64,
    /// Durations of calls.
    pub batch_latency: LatencyHistogram,
}

/// A document that a plugin could not handle.
#[derive(Clone, Debug, PartialEq)]
pub struct QuarantinedDocument {
    /// Lists are ordered by this id, and continue after an id.
    pub id: String,
    pub namespace: Namespace,
    /// The document's `_id`, as relaxed Extended JSON.
    pub document_id: serde_json::Value,
    pub component: String,
    pub digest: String,
    pub export: String,
    pub reason: String,
}

/// The result of a retry of the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySummary {
    /// Documents in quarantine before the retry.
    pub tried: u64,
    /// Documents in quarantine after the retry.
    pub left: u64,
}

/// A request to swap components of a sync: all of them, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapRequest {
    pub components: Vec<ComponentSwap>,
    pub on_incompatible: IncompatibilityPolicy,
}

/// The replacement of the component of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSwap {
    pub name: String,
    /// The digest of the successor.
    pub digest: String,
}

/// The treatment of a successor with other semantics than the component in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncompatibilityPolicy {
    /// The request is refused.
    #[default]
    Refuse,
    /// The successor is swapped in, and the namespaces that it sees are copied again.
    Recopy,
}
