//! Starts logging: one JSON object a line, to standard output or to files of
//! one day each.
//!
//! Lines are written as they come, not by a background task: what was logged
//! before a kill is in the file.

use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::model::{ErrorName, OperatorError};

/// Days of log files that are kept.
const LOG_FILES_KEPT: usize = 30;

/// Logs from here on, to files in `path` if there is one. Call once.
pub fn start(path: Option<&Path>, verbosity: LevelFilter) -> Result<(), OperatorError> {
    match path {
        None => install(std::io::stdout, verbosity),
        Some(path) => install(files_in(path)?, verbosity),
    }
}

fn install<W>(writer: W, verbosity: LevelFilter) -> Result<(), OperatorError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_writer(writer);
    // Dependencies are heard only when something is wrong.
    let filter = Targets::new()
        .with_default(verbosity.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), verbosity);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(|error| OperatorError::new(ErrorName::InternalError, error.to_string()))
}

fn files_in(path: &Path) -> Result<RollingFileAppender, OperatorError> {
    // The appender looks for old files first, and would complain on its own.
    std::fs::create_dir_all(path).map_err(|error| not_writable(path, &error))?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("tidegate")
        .filename_suffix("log")
        .max_log_files(LOG_FILES_KEPT)
        .build(path)
        .map_err(|error| not_writable(path, &error))
}

fn not_writable(path: &Path, error: &dyn std::error::Error) -> OperatorError {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    OperatorError::new(
        ErrorName::LogPathNotWritable,
        format!(
            "logPath '{}' cannot be written to: {cause}. Give a directory that this user may write.",
            path.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_directory_is_refused_by_name() {
        let error = files_in(Path::new("/dev/null/logs")).expect_err("refused");
        assert_eq!(error.name, ErrorName::LogPathNotWritable);
        assert!(error.message.contains("/dev/null/logs"), "{error}");
    }
}
