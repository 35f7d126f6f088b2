//! Families of the stages of the chain, counted since the start of the host.

use super::exposition::Exposition;
use super::family::{Counter, Family, Histogram, Number, Summary, Unit};
use crate::model::plugins::PluginProgress;

const DOCUMENTS: Family<Counter, 4> = Family::new(
    "tidegate_plugin_documents",
    Unit::One,
    "Documents by the outcome of the plugin",
    ["stage", "plugin", "digest", "outcome"],
);

const ERRORS: Family<Counter, 3> = Family::new(
    "tidegate_plugin_errors",
    Unit::One,
    "Documents and batches that the plugin answered with an error, or in violation of the contract",
    ["stage", "plugin", "digest"],
);

const TRAPS: Family<Counter, 3> = Family::new(
    "tidegate_plugin_traps",
    Unit::One,
    "Calls that ended in a trap",
    ["stage", "plugin", "digest"],
);

const BYTES: Family<Counter, 4> = Family::new(
    "tidegate_plugin_bytes",
    Unit::Bytes,
    "Bytes of documents given to the plugin, and answered by it",
    ["stage", "plugin", "digest", "direction"],
);

const BATCH: Family<Summary, 3> = Family::new(
    "tidegate_plugin_batch_seconds",
    Unit::Seconds,
    "Duration of the plugin's calls, each for a batch of documents: quantiles",
    ["stage", "plugin", "digest"],
);

const BATCH_DURATION: Family<Histogram, 3> = Family::new(
    "tidegate_plugin_batch_duration_seconds",
    Unit::Seconds,
    "Duration of the plugin's calls, each for a batch of documents: distribution",
    ["stage", "plugin", "digest"],
);

const COUNTS: Family<Counter, 4> = Family::new(
    "tidegate_plugin_counts",
    Unit::One,
    "The plugin's own counters",
    ["stage", "plugin", "digest", "count"],
);

const COUNTS_DROPPED: Family<Counter, 3> = Family::new(
    "tidegate_plugin_dropped_counts",
    Unit::One,
    "Additions to the plugin's counters that were dropped: an invalid name, or one counter too many",
    ["stage", "plugin", "digest"],
);

const LOG_LINES: Family<Counter, 4> = Family::new(
    "tidegate_plugin_log_lines",
    Unit::One,
    "Log lines of the plugin: written, dropped because they were too many, not allowed by pluginLogs",
    ["stage", "plugin", "digest", "outcome"],
);

/// Adds the numbers of a chain. The label `stage` distinguishes stages of the same component.
pub(super) fn expose(chain: &[PluginProgress], exposition: &mut Exposition) {
    for (index, stage) in chain.iter().enumerate() {
        expose_stage(&index.to_string(), stage, exposition);
    }
}

fn expose_stage(index: &str, stage: &PluginProgress, exposition: &mut Exposition) {
    let labels: [&str; 3] = [index, &stage.name, &stage.digest];
    let labels_and = |last| {
        let [index, name, digest] = labels;
        [index, name, digest, last]
    };
    for (outcome, documents) in [
        ("kept", stage.kept),
        ("dropped", stage.dropped),
        ("replaced", stage.replaced),
        ("quarantined", stage.quarantined),
    ] {
        exposition.add(&DOCUMENTS, labels_and(outcome), documents);
    }
    exposition.add(&ERRORS, labels, stage.errors);
    exposition.add(&TRAPS, labels, stage.traps);
    for (direction, bytes) in [("in", stage.bytes_in), ("out", stage.bytes_out)] {
        exposition.add(&BYTES, labels_and(direction), bytes);
    }
    expose_observations(stage, labels, exposition);
    let quantiles = vec![
        ("0.5", Number::seconds_of_us(stage.p50_us)),
        ("0.99", Number::seconds_of_us(stage.p99_us)),
    ];
    exposition.add(&BATCH, labels, quantiles);
    exposition.add(&BATCH_DURATION, labels, stage.batch_latency.clone());
}

/// What the plugin says beside its answers.
fn expose_observations(stage: &PluginProgress, labels: [&str; 3], exposition: &mut Exposition) {
    let labels_and = |last| {
        let [index, name, digest] = labels;
        [index, name, digest, last]
    };
    for (name, value) in &stage.counts {
        exposition.add(&COUNTS, labels_and(name.as_str()), *value);
    }
    exposition.add(&COUNTS_DROPPED, labels, stage.counts_dropped);
    for (outcome, lines) in [
        ("written", stage.log_lines.written),
        ("dropped", stage.log_lines.dropped),
        ("notAllowed", stage.log_lines.not_allowed),
    ] {
        exposition.add(&LOG_LINES, labels_and(outcome), lines);
    }
}
