//! Components that options name by their place in a registry.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::reference::ArtifactReference;
use super::refusals::refuse;
use super::registry_client::RegistryClient;
use super::trust::{Signers, admit, check_place, trust_of};
use crate::config::RegistryAccess;
use crate::model::{ErrorName, OperatorError};
use crate::plugin::{Registry, digest};

/// Time for a component, from the first request to the compiled component.
const WITHIN: Duration = Duration::from_secs(180);

/// Fetches each of `components` that is a reference (`oci://…`) into the registry of this host, which finds it by the
/// reference from then on. Leaves names and digests alone, and what was fetched before without a file of trust. Refuses each that is not trusted.
///
/// # Errors
///
/// `InvalidField` for a reference without a digest: a tag can be moved, and a sync keeps its components. `PluginNotFound`,
/// `PluginNotSupported`, `PluginNotTrusted`, `RegistryFailed`.
pub async fn fetch_components(
    registry: &Arc<Registry>,
    access: &RegistryAccess,
    components: &[&str],
) -> Result<(), OperatorError> {
    // Keys and signatures may have changed since: what was fetched is asked for again.
    let has_trust = access.trust_file.is_some();
    for &component in components {
        let is_known = registry.has_fetched(component) && !has_trust;
        if ArtifactReference::is_reference(component) && !is_known {
            let fetched = timeout(WITHIN, fetch(registry, access, component)).await;
            fetched.map_err(|_elapsed| {
                let seconds = WITHIN.as_secs();
                refuse(
                    ErrorName::RegistryFailed,
                    format!("{component} was not fetched and compiled within {seconds} seconds. Call again."),
                )
            })??;
        }
    }
    if has_trust {
        for &component in components {
            let (registry, wanted) = (registry.clone(), component.to_owned());
            let found = spawn_blocking(move || registry.find(&wanted)).await;
            admit(
                access,
                &found.map_err(|error| refuse(ErrorName::InternalError, error.to_string()))??,
            )?;
        }
    }
    Ok(())
}

async fn fetch(
    registry: &Arc<Registry>,
    access: &RegistryAccess,
    component: &str,
) -> Result<(), OperatorError> {
    let invalid = |error: OperatorError| refuse(ErrorName::InvalidField, error.message);
    let place = ArtifactReference::parse(component).map_err(invalid)?;
    if place.digest().is_none() {
        return Err(refuse(
            ErrorName::InvalidField,
            format!(
                "{component} has no digest, and its tag can be moved while the sync keeps the component. `tidegate plugin push` and \
                 `tidegate plugin pull` print the reference with its digest."
            ),
        ));
    }
    let trust = trust_of(access)?;
    check_place(&place, &trust)?;
    let client = RegistryClient::of(place, access).await?;
    let pulled = client.pull().await?;
    let signers = Signers::of(&client, &pulled, &trust).await?;
    let known = registry.has(&digest(&pulled.bytes));
    let (compiling, bytes) = (registry.clone(), pulled.bytes);
    let added = spawn_blocking(move || compiling.add(&bytes)).await;
    let info = added
        .map_err(|error| refuse(ErrorName::InternalError, error.to_string()))??
        .info;
    let signer = signers.of_name(&info.name).inspect_err(|_untrusted| {
        if !known {
            registry.remove(&info.digest);
        }
    })?;
    registry.set_origin(component.to_owned(), &info.digest, signer.clone());
    tracing::info!(
        plugin = info.name,
        plugin_digest = info.digest,
        artifact = component,
        signed_by = signer,
        "component fetched"
    );
    Ok(())
}
