//! Logging: a JSON object a line, to standard output or to a file a day.
//!
//! Lines are written at once, not by a background task, so that the file holds all lines before a kill. The
//! level can be changed and the file can be rotated while the host runs.

mod files;
mod levels;
mod line;

use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::otlp::{BATCHES, OtlpExporter, SpanLayer};
use crate::model::{ErrorName, OperatorError};
use files::LogFiles;
use levels::Levels;
use line::Line;

/// The log of this process.
pub struct Log {
    files: Option<LogFiles>,
    set_verbosity: Box<dyn Fn(LevelFilter) + Send + Sync>,
}

impl Log {
    /// Starts the log, in files of the directory `path` if it is given, and the export of spans if a collector is given.
    /// Call once in a process.
    pub fn start(
        path: Option<&Path>,
        verbosity: LevelFilter,
        otlp: Option<OtlpExporter>,
    ) -> Result<Self, OperatorError> {
        let Some(path) = path else {
            let set_verbosity = install(std::io::stdout, verbosity, otlp)?;
            return Ok(Self {
                files: None,
                set_verbosity,
            });
        };
        let files = LogFiles::open(path)?;
        let set_verbosity = install(files.clone(), verbosity, otlp)?;
        Ok(Self {
            files: Some(files),
            set_verbosity,
        })
    }

    /// Sets the lowest level of lines that are written.
    pub fn set_verbosity(&self, verbosity: LevelFilter) {
        (self.set_verbosity)(verbosity);
    }

    /// Renames the current file to a name with the time, and begins a new file. Returns the name; `None`
    /// without a file to rename.
    pub fn rotate(&self) -> Result<Option<PathBuf>, OperatorError> {
        match &self.files {
            Some(files) => files.rotate(),
            None => Ok(None),
        }
    }
}

fn install<W>(
    writer: W,
    verbosity: LevelFilter,
    otlp: Option<OtlpExporter>,
) -> Result<Box<dyn Fn(LevelFilter) + Send + Sync>, OperatorError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, level) = reload::Layer::new(Levels::from(targets(verbosity)));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line::of_this_process())
        .fmt_fields(JsonFields::new())
        .with_writer(writer)
        .with_filter(filter);
    // Spans are exported at any verbosity of the log.
    let spans =
        otlp.map(|exporter| SpanLayer::new(exporter).with_filter(Levels::from(own_spans())));
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .try_init()
        .map_err(|error| OperatorError::new(ErrorName::InternalError, error.to_string()))?;
    Ok(Box::new(move |verbosity| {
        if let Err(error) = level.reload(targets(verbosity)) {
            tracing::warn!(error = %error, "verbosity not changed");
        }
    }))
}

/// Spans of tidegate, with those of batches.
fn own_spans() -> Targets {
    Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO)
        .with_target(BATCHES, LevelFilter::INFO)
}

/// Levels of targets: dependencies log only warnings and errors.
fn targets(verbosity: LevelFilter) -> Targets {
    Targets::new()
        .with_default(verbosity.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), verbosity)
        .with_target(BATCHES, LevelFilter::OFF)
}
