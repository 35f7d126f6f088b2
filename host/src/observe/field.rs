//! The names of log fields. Use them as `tracing::info!({ field::STEP } = "…")`,
//! so that one thing has one name in every line.

/// Which sync; a field of the span that every task enters.
pub const SYNC_ID: &str = "sync_id";
pub const STATE: &str = "state";
pub const STEP: &str = "step";
pub const NAMESPACE: &str = "namespace";
pub const PARTITION_ID: &str = "partition_id";
pub const OP_TYPE: &str = "op_type";
pub const CLUSTER_TIME: &str = "cluster_time";
pub const PLUGIN: &str = "plugin";
pub const PLUGIN_DIGEST: &str = "plugin_digest";
pub const ABI: &str = "abi";
pub const METADATA_VERSION: &str = "metadata_version";
pub const ATTEMPT: &str = "attempt";
pub const BATCH_LEN: &str = "batch_len";
pub const BATCH_BYTES: &str = "batch_bytes";
pub const LAG_SECONDS: &str = "lag_seconds";
pub const ELAPSED_MS: &str = "elapsed_ms";
pub const ERROR: &str = "error";
/// An `ErrorName`.
pub const ERROR_CODE: &str = "error_code";
