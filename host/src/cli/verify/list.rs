//! The list of mismatches: one JSON object a line.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde_json::Value;

use super::state_file::StateFile;
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
    /// Opens the list. A file is new, or cut to the length that `state` knows.
    ///
    /// # Errors
    /// `InvalidConfig` for a file that exists, or is shorter than its state says, or is another run's.
    pub(super) fn open(
        path: Option<&Path>,
        state: Option<&StateFile>,
    ) -> Result<Self, OperatorError> {
        let Some(path) = path else {
            return Ok(Self::StandardOutput);
        };
        let name = path.display().to_string();
        let refused = |error: io::Error| {
            let remedy = match state {
                Some(_) => "Give the file of the run that --state is of",
                None => "Give a new file to --out",
            };
            refusal(&format!(
                "The list {name} cannot be written: {error}. {remedy}."
            ))
        };
        let mut options = OpenOptions::new();
        options.write(true).mode(PRIVATE);
        let mut file = match state {
            Some(_) => options.create(true).truncate(false).open(path),
            None => options.create_new(true).open(path),
        }
        .map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refusal(&format!(
                    "The list {name} is in use by another run. Wait for its end, or give other files to --out and \
                     --state."
                )));
            }
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        let bytes = state.map_or(0, StateFile::list_bytes);
        let length = file.metadata().map_err(refused)?.len();
        if length < bytes {
            return Err(refusal(&format!(
                "The list {name} has {length} bytes and had {bytes} when its state was written. Give the file of that \
                 run, or remove the state to begin anew."
            )));
        }
        file.set_len(bytes).map_err(refused)?;
        file.seek(SeekFrom::End(0)).map_err(refused)?;
        Ok(Self::File { file, name, bytes })
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
