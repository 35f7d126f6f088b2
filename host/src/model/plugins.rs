//! Plugins as an operator sees them. Plain values; `api` gives them their wire form.

use super::Namespace;
use super::latency::LatencyHistogram;

/// What one stage of the chain has done since the host started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginProgress {
    pub name: String,
    pub digest: String,
    pub documents: u64,
    pub kept: u64,
    pub dropped: u64,
    pub replaced: u64,
    pub quarantined: u64,
    /// Documents and batches that the plugin answered with an error, or with nonsense.
    pub errors: u64,
    pub traps: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Of one batch.
    pub p50_us: u64,
    pub p99_us: u64,
    /// Of the calls, each for a batch.
    pub batch_latency: LatencyHistogram,
}

/// A document that a plugin could not handle.
#[derive(Clone, Debug, PartialEq)]
pub struct QuarantinedDocument {
    /// Lists are in this order, and go on behind one.
    pub id: String,
    pub namespace: Namespace,
    /// The document's `_id`, as relaxed Extended JSON.
    pub document_id: serde_json::Value,
    pub component: String,
    pub digest: String,
    pub export: String,
    pub reason: String,
}

/// What a retry has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySummary {
    /// Documents that were in quarantine before.
    pub tried: u64,
    /// Documents that are in quarantine now.
    pub left: u64,
}

/// Components that are to take the place of those that a sync runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapRequest {
    pub components: Vec<ComponentSwap>,
    pub on_incompatible: IncompatibilityPolicy,
}

/// A component that is to take the place of the one that runs under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSwap {
    pub name: String,
    pub digest: String,
}

/// What happens when a component would give other answers than the one in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncompatibilityPolicy {
    /// It is refused.
    #[default]
    Refuse,
    /// It takes over, and the namespaces that it sees are copied again.
    Recopy,
}
