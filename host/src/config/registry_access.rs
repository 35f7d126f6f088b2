//! Access to registries of components.

use std::path::PathBuf;

use super::options::Options;
use super::plugin_trust::read_plugin_trust;
use super::refusals::invalid;
use crate::model::OperatorError;

/// Credentials and trust for registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAccess {
    /// File in the form of Docker's `config.json`; `None` for Docker's own file. Read at each use.
    pub auth_file: Option<PathBuf>,
    /// File (PEM) with an authority to trust in addition to those of the system. Read at each use.
    pub ca_file: Option<PathBuf>,
    /// File with keys and registries that are trusted; `None` for all. Read at each use.
    pub trust_file: Option<PathBuf>,
}

impl RegistryAccess {
    pub(super) fn check(options: &mut Options) -> Result<Self, OperatorError> {
        let trust_file = file("pluginTrust", options.plugin_trust.take())?;
        // A fault is told at the start of the host.
        trust_file.as_deref().map(read_plugin_trust).transpose()?;
        Ok(Self {
            trust_file,
            auth_file: file("registryAuthFile", options.registry_auth_file.take())?,
            ca_file: file("registryCaFile", options.registry_ca_file.take())?,
        })
    }
}

fn file(name: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, OperatorError> {
    match path {
        Some(path) if !path.is_file() => Err(invalid(format!(
            "{name}: there is no file {}.",
            path.display()
        ))),
        path => Ok(path),
    }
}
