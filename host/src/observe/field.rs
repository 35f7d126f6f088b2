//! Names of log fields that are read as well as written. Use them as `tracing::info!({ field::PLUGIN } = "…")`.
//! Every other field has its name at its line.

/// Name of a component.
pub const PLUGIN: &str = "plugin";
/// Digest of a component.
pub const PLUGIN_DIGEST: &str = "plugin_digest";
/// Whether a line may hold contents of documents: lines that plugins log.
pub const MAY_HOLD_DATA: &str = "may_hold_data";
/// Text of an error.
pub const ERROR: &str = "error";
/// An `ErrorName`.
pub const ERROR_CODE: &str = "error_code";
