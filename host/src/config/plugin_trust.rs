//! The file that says which components from registries are trusted.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::refusals::invalid;
use super::yaml::read_yaml;
use crate::model::{OperatorError, input};

/// Which components are trusted. Without a file: all that an operator names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginTrust {
    /// True to refuse components that are neither shipped nor signed.
    pub require_signature: bool,
    /// Places that components may come from, `REGISTRY` or `REGISTRY/REPOSITORY`; all if empty.
    pub registries: Vec<String>,
    /// Keys that sign components.
    pub keys: Vec<TrustedKey>,
}

/// A key that signs components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name that operators see.
    pub name: String,
    /// The file of the key, for messages.
    pub place: String,
    /// The public key (PEM).
    pub public_key: String,
    /// Names of the components that the key may sign; all if empty.
    pub components: Vec<String>,
}

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
struct TrustFile {
    #[serde(default)]
    require_signature: bool,
    #[serde(default)]
    registries: Vec<String>,
    #[serde(default)]
    keys: Vec<KeyField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
struct KeyField {
    name: String,
    key_file: PathBuf,
    #[serde(default)]
    components: Vec<String>,
}

/// Reads the file. Files of keys are relative to its folder.
///
/// # Errors
///
/// `InvalidConfig`.
pub fn read_plugin_trust(path: &Path) -> Result<PluginTrust, OperatorError> {
    let place = format!("The file of pluginTrust, {}", path.display());
    let refused = |why: String| invalid(format!("{place}, is refused: {why}."));
    let value = read_yaml(&place, path)?;
    let file: TrustFile = input::read(value).map_err(|error| refused(error.to_string()))?;
    if file.require_signature && file.keys.is_empty() {
        return Err(refused("it requires signatures and has no keys".to_owned()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut keys: Vec<TrustedKey> = Vec::new();
    for field in file.keys {
        if keys.iter().any(|key| key.name == field.name) {
            return Err(refused(format!("two keys have the name '{}'", field.name)));
        }
        let file = folder.join(&field.key_file);
        let public_key = fs::read_to_string(&file)
            .map_err(|error| refused(format!("{} cannot be read: {error}", file.display())))?;
        keys.push(TrustedKey {
            name: field.name,
            place: file.display().to_string(),
            public_key,
            components: field.components,
        });
    }
    Ok(PluginTrust {
        require_signature: file.require_signature,
        registries: file.registries,
        keys,
    })
}
