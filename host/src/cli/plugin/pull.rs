//! `tidegate plugin pull`: fetches a plugin from an OCI registry into a file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::super::status::CommandStatus;
use super::command;
use super::console::{Console, size};
use super::registry;
use super::subject::Subject;
use super::usage_error::usage_error;
use crate::distribution::{ArtifactReference, PublicKey, PulledComponent, RegistryClient};
use crate::model::{ErrorName, OperatorError};

pub(super) fn execute(
    arguments: &command::PullArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let key = arguments.key.as_deref().map(public_key).transpose()?;
    let place = ArtifactReference::parse(&arguments.reference)?;
    let out = arguments.out.clone().unwrap_or_else(|| file_name(&place));
    let pulled = registry::within(&arguments.reference, &arguments.registry, async |client| {
        let pulled = client.pull().await?;
        if let Some(key) = &key {
            require_signature(&client, &pulled, key).await?;
        }
        Ok(pulled)
    })?;
    let info = Subject::of(&pulled.bytes)?.plugin.info;
    write_whole(&out, &pulled.bytes)?;
    console.line(format!(
        "{}  {} {}, {}, {}",
        out.display(),
        info.name,
        info.version,
        size(pulled.bytes.len()),
        pulled.place,
    ))?;
    Ok(CommandStatus::Success)
}

async fn require_signature(
    client: &RegistryClient,
    pulled: &PulledComponent,
    key: &PublicKey,
) -> Result<(), OperatorError> {
    let digest = pulled.place.digest().unwrap_or_default();
    if client.have_signed(digest, &[key]).await?.contains(&true) {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::PluginNotTrusted,
        format!(
            "{} has no signature of this key. Nothing is written.",
            pulled.place
        ),
    ))
}

fn public_key(file: &Path) -> Result<PublicKey> {
    let place = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| usage_error(format!("{place} cannot be read: {error}.")))?;
    Ok(PublicKey::from_pem(&place.to_string(), &text)?)
}

/// The file for a component of this repository, in the current folder.
fn file_name(place: &ArtifactReference) -> PathBuf {
    let repository = place.repository();
    let (_, last) = repository.rsplit_once('/').unwrap_or(("", repository));
    PathBuf::from(format!("{last}.wasm"))
}

/// Writes the file whole or not at all.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        // The error of the write is the one that counts.
        _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("write {}", file.display()))
}
