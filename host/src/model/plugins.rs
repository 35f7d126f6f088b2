//! Values about plugins for operators. `api` has their wire form.

use std::collections::BTreeMap;

use super::Namespace;
use super::latency::LatencyHistogram;

/// Counters of a stage of the chain since the start of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginProgress {
    /// Name of the component.
    pub name: String,
    /// `sha256:` and the lower-case hex digest of the component.
    pub digest: String,
    /// Documents with an outcome: the sum of the four outcomes.
    pub documents: u64,
    /// Documents that the plugin returned unchanged.
    pub kept: u64,
    /// Documents that the plugin dropped: they are not on the destination.
    pub dropped: u64,
    /// Documents that the plugin returned with other contents.
    pub replaced: u64,
    /// Documents that went into quarantine, counted at each call.
    pub quarantined: u64,
    /// Calls that the plugin answered with an error or with invalid output.
    pub errors: u64,
    /// Calls that ended in a trap: a panic, or an exceeded deadline or limit.
    pub traps: u64,
    /// Bytes of BSON given to the plugin.
    pub bytes_in: u64,
    /// Bytes of BSON of the kept and replaced documents.
    pub bytes_out: u64,
    /// Median duration of a call in microseconds.
    pub p50_us: u64,
    /// 99th percentile of the duration of a call in microseconds.
    pub p99_us: u64,
    /// Durations of calls.
    pub batch_latency: LatencyHistogram,
    /// The plugin's own counters, by their names.
    pub counts: BTreeMap<String, u64>,
    /// Additions to counters that were dropped: an invalid name, or one counter too many.
    pub counts_dropped: u64,
    /// The plugin's log lines.
    pub log_lines: LogLineTotals,
}

/// Log lines of a plugin, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLineTotals {
    /// Given to the log.
    pub written: u64,
    /// Dropped, because there were too many.
    pub dropped: u64,
    /// Dropped, because the operator does not allow them.
    pub not_allowed: u64,
}

/// The level of a plugin's log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// A fact.
    Info,
    /// A matter for a person.
    Warn,
}

/// The log lines that the operator allows to plugins (`pluginLogs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PluginLogs {
    /// None: a line may hold contents of documents.
    #[default]
    Off,
    /// Those of the level warn.
    Warn,
    /// All.
    Info,
}

impl PluginLogs {
    /// The word for the value in options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }

    /// Whether lines of this level are written.
    pub fn allows(self, level: LogLevel) -> bool {
        match self {
            Self::Off => false,
            Self::Warn => level == LogLevel::Warn,
            Self::Info => true,
        }
    }
}

/// A document that a plugin could not handle.
#[derive(Clone, Debug, PartialEq)]
pub struct QuarantinedDocument {
    /// Lists are ordered by this id, and continue after an id.
    pub id: String,
    /// Namespace of the document on the source.
    pub namespace: Namespace,
    /// The document's `_id`, as relaxed Extended JSON.
    pub document_id: serde_json::Value,
    /// Name of the component that could not handle the document.
    pub component: String,
    /// `sha256:` and the lower-case hex digest of the component.
    pub digest: String,
    /// The called function of the plugin contract.
    pub export: String,
    /// A sentence for the operator. Invariant: it names fields and types, never values.
    pub reason: String,
}

/// A collection of the source, or all collections of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSelection {
    /// Name of the database.
    pub database: String,
    /// Name of the collection; `None` for all of the database.
    pub collection: Option<String>,
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
    /// The replacements; each name at most once.
    pub components: Vec<ComponentSwap>,
    /// Treatment of successors with other semantics.
    pub on_incompatible: IncompatibilityPolicy,
}

impl SwapRequest {
    /// The successors, as they are named.
    pub fn wanted(&self) -> Vec<&str> {
        let swaps = self.components.iter();
        swaps.map(|swap| swap.component.as_str()).collect()
    }
}

/// The replacement of the component of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSwap {
    /// Name of the component in use, and of its successor.
    pub name: String,
    /// The digest of the successor, or its place in a registry.
    pub component: String,
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
