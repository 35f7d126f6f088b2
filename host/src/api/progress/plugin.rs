//! A plugin of the chain in the answer of `GET /progress`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::plugins::PluginProgress;

/// Numbers of a stage of the chain, counted since the start of the host.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PluginProgress)]
pub(super) struct Plugin {
    name: String,
    digest: String,
    /// Documents given to the component.
    documents: u64,
    kept: u64,
    dropped: u64,
    replaced: u64,
    quarantined: u64,
    /// Documents and batches that the component answered with an error, or in violation of the contract.
    errors: u64,
    /// Calls that ended in a trap.
    traps: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// Median duration of a call, which is given one batch.
    p50_micros: u64,
    /// 99th percentile of the same.
    p99_micros: u64,
    /// The plugin's own counters, by their names.
    counts: BTreeMap<String, u64>,
    /// Additions to counters that were dropped: an invalid name, or one counter too many.
    counts_dropped: u64,
    log_lines: LogLines,
}

/// Log lines of a plugin, by what became of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PluginLogLines)]
struct LogLines {
    written: u64,
    /// Too many in a call, or in a second.
    dropped: u64,
    /// Not allowed by pluginLogs.
    not_allowed: u64,
}

impl From<PluginProgress> for Plugin {
    fn from(plugin: PluginProgress) -> Self {
        Self {
            name: plugin.name,
            digest: plugin.digest,
            documents: plugin.documents,
            kept: plugin.kept,
            dropped: plugin.dropped,
            replaced: plugin.replaced,
            quarantined: plugin.quarantined,
            errors: plugin.errors,
            traps: plugin.traps,
            bytes_in: plugin.bytes_in,
            bytes_out: plugin.bytes_out,
            p50_micros: plugin.p50_us,
            p99_micros: plugin.p99_us,
            counts: plugin.counts,
            counts_dropped: plugin.counts_dropped,
            log_lines: LogLines {
                written: plugin.log_lines.written,
                dropped: plugin.log_lines.dropped,
                not_allowed: plugin.log_lines.not_allowed,
            },
        }
    }
}
