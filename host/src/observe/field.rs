//! Names of log fields that are read as well as written. Use them as `tracing::info!({ field::PLUGIN } = "…")`.
//! Every other field has its name at its line.

pub const PLUGIN: &str = "plugin";
pub const PLUGIN_DIGEST: &str = "plugin_digest";
pub const ERROR: &str = "error";
/// An `ErrorName`.
pub const ERROR_CODE: &str = "error_code";
