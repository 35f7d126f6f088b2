//! Requests of commands to a registry.

use anyhow::Result;

use super::command::RegistryArgs;
use crate::config::RegistryAccess;
use crate::distribution::{ArtifactReference, RegistryClient};
use crate::model::OperatorError;

/// Does `work` with the registry of a reference.
pub(super) fn within<T>(
    reference: &str,
    arguments: &RegistryArgs,
    work: impl AsyncFnOnce(RegistryClient) -> Result<T, OperatorError>,
) -> Result<T> {
    let place = ArtifactReference::parse(reference)?;
    let access = RegistryAccess {
        auth_file: arguments.auth_file.clone(),
        ca_file: arguments.ca_file.clone(),
        trust_file: None,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    Ok(runtime.block_on(async {
        let client = RegistryClient::of(place, &access).await?;
        work(client).await
    })?)
}
