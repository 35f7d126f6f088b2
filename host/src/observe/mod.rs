//! Logs, field names, version and failpoints.
//!
//! Invariant: this room decides nothing about a sync, and neither holds nor prints credentials or contents of
//! documents.

mod failpoint;
pub mod field;
mod latency;
mod logging;
mod otlp;

pub use failpoint::{failpoint, shortened, smaller};
pub use latency::LatencyRecorder;
pub use logging::Log;
pub use otlp::{
    HeaderSource, OtlpExporter, apply_batch_span, copy_batch_span, telemetry_time, unix_nanos,
};

/// This release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
