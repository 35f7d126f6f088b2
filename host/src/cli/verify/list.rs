//! The list of mismatches: one JSON object a line.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde_json::Value;

use crate::{
    model::{ErrorName, OperatorError},
    sync::ReportEntry,
};

/// File mode: `_id`s, paths and documents are read by the owner alone.
const PRIVATE: u32 = 0o600;

/// The list, in a file or on standard output.
pub(super) enum MismatchList {
    StandardOutput,
    /// A file with its name and its length. The lock lasts as long as the file is open.
    File {
        file: File,
        name: String,
        bytes: u64,
    },
}

impl MismatchList {
    /// Opens the list, and locks a file for the time of the run. Without a state a file has to be new.
    ///
    /// # Errors
    /// `InvalidConfig` for a file that exists, or that another run writes.
    pub(super) fn open(path: Option<&Path>, has_state: bool) -> Result<Self, OperatorError> {
        let Some(path) = path else {
            return Ok(Self::StandardOutput);
        };
        let name = path.display().to_string();
        let refused = |error: io::Error| {
            refusal(&format!(
                "The list {name} cannot be written: {error}. Give a new file to --out."
            ))
        };
        let mut options = OpenOptions::new();
        options.write(true).mode(PRIVATE);
        let file = match has_state {
            true => options.create(true).truncate(false).open(path),
            false => options.create_new(true).open(path),
        };
        let file = file.map_err(refused)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::File {
                file,
                name,
                bytes: 0,
            }),
            Err(TryLockError::WouldBlock) => Err(refusal(&format!(
                "The list {name} is in use by another run. Wait for its end, or give other files to --out and --state."
            ))),
            Err(TryLockError::Error(error)) => Err(refused(error)),
        }
    }

    /// Goes on after the lines of an earlier run, `known` bytes of a state; `None` without an earlier run. Lines after
    /// them are cut off: no state has them, and their partitions are compared again.
    ///
    /// # Errors
    /// `InvalidConfig` for a file with other lines than those of the state.
    pub(super) fn go_on(&mut self, known: Option<u64>) -> Result<(), OperatorError> {
        let Self::File { file, name, bytes } = self else {
            return Ok(());
        };
        let refused =
            |error: io::Error| refusal(&format!("The list {name} cannot be written: {error}."));
        let length = file.metadata().map_err(refused)?.len();
        match known {
            None if length > 0 => {
                return Err(refusal(&format!(
                    "The list {name} holds lines, and --state names no file of the run that wrote them. Give a new \
                     file to --out, or the state of that run."
                )));
            }
            Some(known) if length < known => {
                return Err(refusal(&format!(
                    "The list {name} has {length} bytes and had {known} when its state was written. Give the list of \
                     that run, or new files to --out and --state."
                )));
            }
            _ => *bytes = known.unwrap_or_default(),
        }
        file.set_len(*bytes).map_err(refused)?;
        file.seek(SeekFrom::End(0)).map_err(refused)?;
        Ok(())
    }

    /// Adds a line for each finding.
    pub(super) fn append(&mut self, findings: &[ReportEntry]) -> Result<(), OperatorError> {
        let mut lines = Vec::new();
        for finding in findings {
            let line = Value::Object(finding.to_json()).to_string();
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
        match self {
            Self::StandardOutput => io::stdout().lock().write_all(&lines),
            Self::File { file, bytes, .. } => {
                *bytes += lines.len() as u64;
                file.write_all(&lines)
            }
        }
        .map_err(|error| self.fault(&error))
    }

    /// Makes the lines durable.
    pub(super) fn flush(&self) -> Result<(), OperatorError> {
        match self {
            Self::StandardOutput => io::stdout().lock().flush(),
            Self::File { file, .. } => file.sync_data(),
        }
        .map_err(|error| self.fault(&error))
    }

    /// The length of the file.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::StandardOutput => 0,
            Self::File { bytes, .. } => *bytes,
        }
    }

    fn fault(&self, error: &io::Error) -> OperatorError {
        let name = match self {
            Self::StandardOutput => "standard output",
            Self::File { name, .. } => name,
        };
        refusal(&format!(
            "Mismatches cannot be written to {name}: {error}. Nothing is proven."
        ))
    }
}

fn refusal(message: &str) -> OperatorError {
    OperatorError::new(ErrorName::InvalidConfig, message)
}
