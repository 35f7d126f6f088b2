//! What the host shows of itself: logs, field names, version, failpoints.
//!
//! Nothing here decides anything about a sync, and nothing here may hold or
//! print credentials or document contents.

mod failpoint;
pub mod field;
mod latency;
mod logging;

pub use failpoint::{failpoint, shortened};
pub use latency::LatencyRecorder;
pub use logging::Log;

/// This release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
