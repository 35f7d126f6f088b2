//! The receiver of what a guest says beside its answers: `tidegate:plugin/observe`.

use crate::model::plugins::LogLevel;

/// Receives the log lines and the counts of a call.
pub(in super::super) trait Observer: Send + Sync {
    /// Receives a line, of any length and content.
    fn log(&self, level: LogLevel, message: &str);

    /// Receives an addition to the counter called `name`, which may be any text.
    fn count(&self, name: &str, delta: u64);
}
