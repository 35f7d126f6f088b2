//! Which components of registries are trusted.

use super::key::PublicKey;
use super::reference::ArtifactReference;
use super::refusals::refuse;
use super::registry_client::{PulledComponent, RegistryClient};
use crate::config::{PluginTrust, RegistryAccess, TrustedKey, read_plugin_trust};
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

/// The trusted keys that have signed a component.
pub(super) struct Signers<'t> {
    place: String,
    keys: Vec<&'t TrustedKey>,
    is_required: bool,
}

impl<'t> Signers<'t> {
    /// Those of a component that was pulled.
    ///
    /// # Errors
    ///
    /// `PluginNotTrusted` without any, where one is required: nothing of the component is run then. `RegistryFailed`.
    pub(super) async fn of(
        client: &RegistryClient,
        pulled: &PulledComponent,
        trust: &'t PluginTrust,
    ) -> Result<Self, OperatorError> {
        let keys = trust.keys.iter();
        let keys = keys.map(|key| PublicKey::from_pem(&key.place, &key.public_key));
        let keys: Vec<PublicKey> = keys.collect::<Result<_, _>>()?;
        let digest = pulled.place.digest().unwrap_or_default();
        let have_signed = match keys.is_empty() {
            true => Vec::new(),
            false => {
                let keys: Vec<&PublicKey> = keys.iter().collect();
                client.have_signed(digest, &keys).await?
            }
        };
        let signers = trust.keys.iter().zip(have_signed);
        let signers = Self {
            place: pulled.place.to_string(),
            keys: signers
                .filter_map(|(key, has)| has.then_some(key))
                .collect(),
            is_required: trust.require_signature,
        };
        match signers.is_required && signers.keys.is_empty() {
            true => Err(not_signed(&signers.place)),
            false => Ok(signers),
        }
    }

    /// The name of the first that may sign the component of this name; `None` without one, where none is required.
    pub(super) fn of_name(&self, component: &str) -> Result<Option<String>, OperatorError> {
        let may_sign = |key: &&&TrustedKey| {
            key.components.is_empty() || key.components.iter().any(|name| name == component)
        };
        let signer = self.keys.iter().find(may_sign);
        match signer {
            None if self.is_required => Err(not_signed(&format!("{component} at {}", self.place))),
            signer => Ok(signer.map(|key| key.name.clone())),
        }
    }
}

/// Refuses a component that is neither shipped nor signed by a key that is trusted now, where signatures are required.
pub(super) fn admit(
    access: &RegistryAccess,
    component: &InstalledComponent,
) -> Result<(), OperatorError> {
    let trust = trust_of(access)?;
    let is_trusted = |signer: &String| trust.keys.iter().any(|key| key.name == *signer);
    let is_signed = component.signed_by.as_ref().is_some_and(is_trusted);
    match component.shipped || is_signed || !trust.require_signature {
        true => Ok(()),
        false => Err(not_signed(&component.info.name)),
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
