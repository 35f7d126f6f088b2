//! Secrets in plugin configurations: `{"$secret": "mask-key"}` stands for the content of the file `mask-key` in the
//! host's `secretsDir`.
//!
//! Invariant: only the reference is persisted, compared and shown. The content is read when an instance is configured,
//! is given to that instance alone, and is masked in everything that the instance returns.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::{ErrorName, StartOptions};

use super::error::{Error, Result};

/// The single field of a reference to a secret.
const REFERENCE: &str = "$secret";

/// Most bytes of a secret. The private key of a certificate has about 3 KiB.
const SECRET_BYTES: u64 = 64 << 10;

/// Most bytes of a file name on Linux (`NAME_MAX`).
const NAME_BYTES: usize = 255;

/// The replacement of a secret in the text of a component.
const MASK: &str = "****";

/// Endings of the names of fields that hold secrets.
const SECRET_FIELDS: [&str; 7] = [
    "key",
    "secret",
    "password",
    "passphrase",
    "token",
    "salt",
    "pepper",
];

/// The secrets of this host.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets {
    directory: Option<PathBuf>,
}

/// A configuration with the values of its secrets. Only for configuring an instance.
pub(super) struct RevealedConfig {
    config: String,
    values: Vec<String>,
}

impl Secrets {
    pub(super) fn within(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// Replaces references to secrets by their values, in a copy of the configuration.
    pub(super) fn reveal(&self, config: &Value) -> Result<(Value, RevealedConfig)> {
        let (mut revealed, mut values) = (config.clone(), Vec::new());
        self.fill(&mut revealed, "", &mut values)?;
        let config = revealed.to_string();
        Ok((revealed, RevealedConfig { config, values }))
    }

    fn fill(&self, value: &mut Value, path: &str, values: &mut Vec<String>) -> Result<()> {
        match value {
            Value::Object(fields) if fields.contains_key(REFERENCE) => {
                let name = match (fields.len(), fields.get(REFERENCE)) {
                    (1, Some(Value::String(name))) => name,
                    _ => return Err(malformed(path)),
                };
                let secret = self.read(name).map_err(|reason| refused(path, reason))?;
                values.push(secret.clone());
                *value = Value::String(secret);
            }
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.fill(inner, &format!("{path}{dot}{name}"), values)?;
                }
            }
            Value::Array(elements) => {
                for (at, inner) in elements.iter_mut().enumerate() {
                    self.fill(inner, &format!("{path}[{at}]"), values)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The content of a secret's file, without the trailing newline. The error is a clause for the operator.
    fn read(&self, name: &str) -> std::result::Result<String, String> {
        let directory = self.directory.as_deref().ok_or_else(|| {
            format!("it asks for the secret '{name}', and this host has no --secretsDir")
        })?;
        if !is_name(name) {
            return Err(format!(
                "'{name}' is not the name of a file in {}: letters, digits, '.', '_' and '-', and no leading '.'",
                directory.display()
            ));
        }
        let failed =
            |fault: &str| format!("the secret '{name}' in {} {fault}", directory.display());
        let path = inside(directory, name).map_err(|fault| failed(&fault))?;
        let text = text(&path).map_err(|fault| failed(&fault))?;
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.is_empty() {
            return Err(failed("is empty"));
        }
        Ok(secret.to_owned())
    }
}

impl RevealedConfig {
    /// The empty configuration.
    pub(super) fn none() -> Self {
        Self {
            config: "{}".to_owned(),
            values: Vec::new(),
        }
    }

    /// A configuration without secrets.
    pub(super) fn plain(config: &Value) -> Self {
        Self {
            config: config.to_string(),
            values: Vec::new(),
        }
    }

    /// The configuration of an instance, as JSON.
    pub(super) fn config(&self) -> &str {
        &self.config
    }

    /// The text of a component, with its secrets masked.
    pub(super) fn mask(&self, text: &str) -> String {
        let masked = |text: String, secret: &String| text.replace(secret.as_str(), MASK);
        self.values.iter().fold(text.to_owned(), masked)
    }

    /// The error of a component, with the secrets in all of its texts masked.
    pub(super) fn masked(&self, mut error: Error) -> Error {
        let texts: [Option<&mut String>; 2] = match &mut error {
            Error::Refused { path, reason, .. } => [Some(path), Some(reason)],
            Error::Failed { reason, .. } => [Some(reason), None],
            Error::Trapped { trap, .. } => [trap.message.as_mut(), Some(&mut trap.backtrace)],
            _ => [None, None],
        };
        for text in texts.into_iter().flatten() {
            *text = self.mask(text);
        }
        error
    }
}

/// The paths of fields in the configurations of `plugins` that hold a secret as plain text.
pub fn plaintext_secrets(options: &StartOptions) -> Vec<String> {
    let mut found = Vec::new();
    for (at, plugin) in options.plugins.iter().enumerate() {
        find_plaintext_secrets(
            &plugin.config.0,
            &format!("plugins[{at}].config"),
            &mut found,
        );
    }
    found
}

fn find_plaintext_secrets(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = format!("{path}.{name}");
                if inner.is_string() && is_secret_field(name) {
                    found.push(path);
                } else {
                    find_plaintext_secrets(inner, &path, found);
                }
            }
        }
        Value::Array(elements) => {
            for (at, inner) in elements.iter().enumerate() {
                find_plaintext_secrets(inner, &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

fn is_secret_field(name: &str) -> bool {
    let name = name.to_lowercase();
    name != REFERENCE && SECRET_FIELDS.iter().any(|end| name.ends_with(end))
}

/// Whether a name stays in the directory. Kubernetes and Docker give secrets names of these characters.
fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty()
        && name.len() <= NAME_BYTES
        && !name.starts_with('.')
        && name.bytes().all(is_allowed)
}

/// The path of a file in the directory. May be a symbolic link, as Kubernetes creates them, to a file in the directory.
fn inside(directory: &Path, name: &str) -> std::result::Result<PathBuf, String> {
    let root = directory
        .canonicalize()
        .map_err(|error| format!("cannot be read, since its directory cannot: {error}"))?;
    let path = root
        .join(name)
        .canonicalize()
        .map_err(|error| format!("cannot be read: {error}"))?;
    if !path.starts_with(&root) {
        return Err("is a link that leaves the directory".to_owned());
    }
    if path.is_file() {
        Ok(path)
    } else {
        Err("is not a file".to_owned())
    }
}

fn text(path: &Path) -> std::result::Result<String, String> {
    let unread = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidData => "is not text in UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let mut text = String::new();
    let file = File::open(path).map_err(unread)?;
    let mut start = file.take(SECRET_BYTES + 1);
    start.read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > SECRET_BYTES {
        return Err(format!("is larger than {SECRET_BYTES} bytes"));
    }
    Ok(text)
}

fn malformed(path: &str) -> Error {
    Error::Refused {
        name: ErrorName::InvalidField,
        path: path.to_owned(),
        reason: "a secret is an object with the field $secret alone, and a file name as its value"
            .to_owned(),
    }
}

fn refused(path: &str, reason: String) -> Error {
    Error::Refused {
        name: ErrorName::SecretNotFound,
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
