//! Which components of registries are trusted.

use super::key::PublicKey;
use super::reference::ArtifactReference;
use super::refusals::refuse;
use super::registry_client::{PulledComponent, RegistryClient};
use crate::config::{PluginTrust, RegistryAccess, read_plugin_trust};
use crate::model::{ErrorName, OperatorError};
use crate::plugin::InstalledComponent;

/// Refuses a place that components may not come from.
pub(super) fn check_place(
    place: &ArtifactReference,
    trust: &PluginTrust,
) -> Result<(), OperatorError> {
    let name = format!("{}/{}", place.registry(), place.repository());
    let is_within = |allowed: &String| {
        let rest = name.strip_prefix(allowed.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if trust.registries.is_empty() || trust.registries.iter().any(is_within) {
        return Ok(());
    }
    Err(refuse(
        ErrorName::PluginNotTrusted,
        format!(
            "{place} is in none of the registries of pluginTrust: {}.",
            trust.registries.join(", ")
        ),
    ))
}

/// The name of the key that has signed a component; `None` without a signature, where none is required.
pub(super) async fn signer(
    client: &RegistryClient,
    pulled: &PulledComponent,
    component: &str,
    trust: &PluginTrust,
) -> Result<Option<String>, OperatorError> {
    let may_sign = trust
        .keys
        .iter()
        .filter(|key| key.components.is_empty() || key.components.iter().any(|it| it == component));
    let mut named = Vec::new();
    for key in may_sign {
        named.push((&key.name, PublicKey::from_pem(&key.place, &key.public_key)?));
    }
    let keys: Vec<&PublicKey> = named.iter().map(|(_, key)| key).collect();
    let digest = pulled.place.digest().unwrap_or_default();
    let found = match keys.is_empty() {
        true => None,
        false => client.signer(digest, &keys).await?,
    };
    let signer = found
        .and_then(|at| named.get(at))
        .map(|(name, _)| (*name).clone());
    if signer.is_none() && trust.require_signature {
        return Err(not_signed(&format!("{component} at {}", pulled.place)));
    }
    Ok(signer)
}

/// Refuses a component that is neither shipped nor signed, where signatures are required.
pub(super) fn admit(
    access: &RegistryAccess,
    component: &InstalledComponent,
) -> Result<(), OperatorError> {
    match component.shipped || component.signed_by.is_some() {
        true => Ok(()),
        false => admit_unsigned(access, &component.info.name),
    }
}

/// Refuses a component without a signature, such as an upload, where signatures are required.
///
/// # Errors
///
/// `PluginNotTrusted`; `InvalidConfig` for a file of trust that cannot be read.
pub fn admit_unsigned(access: &RegistryAccess, component: &str) -> Result<(), OperatorError> {
    match trust_of(access)?.require_signature {
        true => Err(not_signed(component)),
        false => Ok(()),
    }
}

/// The trust of a host, read anew: keys change without a restart.
pub(super) fn trust_of(access: &RegistryAccess) -> Result<PluginTrust, OperatorError> {
    let file = access.trust_file.as_deref();
    file.map_or_else(|| Ok(PluginTrust::default()), read_plugin_trust)
}

fn not_signed(component: &str) -> OperatorError {
    refuse(
        ErrorName::PluginNotTrusted,
        format!(
            "{component} has no signature of a key of pluginTrust that may sign it, and signatures are required. Name a signed component by \
             its place in a registry, oci://REGISTRY/REPOSITORY@DIGEST."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_within_a_registry_or_a_part_of_it() {
        let trust = PluginTrust {
            registries: vec!["a.example/team".to_owned(), "b.example:443/".to_owned()],
            ..PluginTrust::default()
        };
        for (place, is_trusted) in [
            ("a.example/team/mask:1", true),
            ("a.example/team:1", true),
            ("b.example:443/any/mask:1", true),
            ("a.example/teams/mask:1", false),
            ("a.example/other/mask:1", false),
            ("b.example/mask:1", false),
        ] {
            let place = ArtifactReference::parse(place).unwrap();
            assert_eq!(check_place(&place, &trust).is_ok(), is_trusted, "{place}");
            assert!(check_place(&place, &PluginTrust::default()).is_ok());
        }
    }
}
