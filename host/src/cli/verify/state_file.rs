//! The file that a later run goes on from.
//!
//! It is replaced in one step, after the lines that belong to it are durable. So a run that is killed at any moment
//! leaves a list that begins with the lines of its state.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    config::VerifyCommand,
    model::{ErrorName, OperatorError, StartOptions},
    mongo::preflight::ReadIdentity,
    observe::VERSION,
    sync::PairState,
};

/// The format of the file. Another format is refused.
const FORMAT: u32 = 1;
/// File mode: bounds are `_id`s.
const PRIVATE: u32 = 0o600;

/// The clusters and the options of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fingerprint {
    source: String,
    destination: String,
    /// A digest: configurations can hold secrets.
    options: String,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    format: u32,
    tidegate: String,
    begun_at: String,
    #[serde(flatten)]
    fingerprint: Fingerprint,
    /// Length of the list with the lines of `progress`.
    list_bytes: u64,
    progress: PairState,
}

/// The file.
pub(super) struct StateFile {
    path: PathBuf,
    fingerprint: Fingerprint,
    begun_at: String,
    list_bytes: u64,
}

impl Fingerprint {
    /// The fingerprint of a comparison with these components. The times to settle may change from run to run.
    pub(super) fn new(
        (source, destination): (ReadIdentity, ReadIdentity),
        components: &[String],
        start: &StartOptions,
        command: &VerifyCommand,
    ) -> anyhow::Result<Self> {
        let options = serde_json::to_string(&(start, components, command.before_commit))?;
        let digest = Sha256::digest(options);
        Ok(Self {
            source: source.as_str().to_owned(),
            destination: destination.as_str().to_owned(),
            options: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

impl StateFile {
    /// Opens the file, and returns the progress in it; `None` for a new file, which is not written yet.
    ///
    /// # Errors
    /// `ClustersMismatch` and `OptionsMismatch` for the file of another comparison; `InvalidConfig` for a file that
    /// cannot be read.
    pub(super) fn open(
        path: &Path,
        fingerprint: Fingerprint,
    ) -> Result<(Self, Option<PairState>), OperatorError> {
        let content = match fs::read(path) {
            Ok(bytes) => read(path, &bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let new = Self {
                    path: path.to_owned(),
                    fingerprint,
                    begun_at: bson::DateTime::now()
                        .try_to_rfc3339_string()
                        .unwrap_or_default(),
                    list_bytes: 0,
                };
                return Ok((new, None));
            }
            Err(error) => return Err(unusable(path, &error.to_string())),
        };
        let clusters = |it: &Fingerprint| (it.source.clone(), it.destination.clone());
        let name = path.display();
        if clusters(&content.fingerprint) != clusters(&fingerprint) {
            return Err(OperatorError::new(
                ErrorName::ClustersMismatch,
                format!(
                    "The state {name} is of a verification of other clusters, or of these in exchanged roles. Give the \
                     clusters of that run, or another file."
                ),
            ));
        }
        if content.fingerprint.options != fingerprint.options {
            return Err(OperatorError::new(
                ErrorName::OptionsMismatch,
                format!(
                    "The state {name} is of a verification with another --start, other components or another \
                     --before-commit. Give the options of that run, or another file."
                ),
            ));
        }
        let state = Self {
            path: path.to_owned(),
            fingerprint,
            begun_at: content.begun_at,
            list_bytes: content.list_bytes,
        };
        Ok((state, Some(content.progress)))
    }

    /// The time at which the first run began, by the clock of its machine.
    pub(super) fn begun_at(&self) -> &str {
        &self.begun_at
    }

    /// The length of the list that belongs to the state.
    pub(super) fn list_bytes(&self) -> u64 {
        self.list_bytes
    }

    /// Replaces the file. The first `list_bytes` of the list are durable.
    pub(super) fn save(
        &mut self,
        progress: PairState,
        list_bytes: u64,
    ) -> Result<(), OperatorError> {
        self.list_bytes = list_bytes;
        let content = Content {
            format: FORMAT,
            tidegate: VERSION.to_owned(),
            begun_at: self.begun_at.clone(),
            fingerprint: self.fingerprint.clone(),
            list_bytes,
            progress,
        };
        let written = serde_json::to_vec(&content)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&self.path, &bytes));
        written.map_err(|error| unusable(&self.path, &error.to_string()))
    }

    /// Removes the file.
    pub(super) fn remove(self) -> Result<(), OperatorError> {
        fs::remove_file(&self.path).map_err(|error| unusable(&self.path, &error.to_string()))
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Content, OperatorError> {
    let content: Content = serde_json::from_slice(bytes)
        .map_err(|_malformed| unusable(path, "it is no state of a verification"))?;
    if content.format != FORMAT || !content.progress.is_valid() {
        let fault = format!(
            "it was written by tidegate {}, in another form",
            content.tidegate
        );
        return Err(unusable(path, &fault));
    }
    Ok(content)
}

/// Writes another file next to it, and gives it the name.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(PRIVATE)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn unusable(path: &Path, fault: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidConfig,
        format!(
            "The state {} cannot be used: {fault}. Give another file.",
            path.display()
        ),
    )
}
