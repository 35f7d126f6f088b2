//! References to artifacts: `oci://REGISTRY/REPOSITORY:TAG@DIGEST`.

use std::fmt;
use std::net::IpAddr;

use oci_client::Reference;

use crate::model::{ErrorName, OperatorError};

/// What a reference begins with where a name or a digest of a component could stand as well.
const SCHEME: &str = "oci://";

/// A place of an artifact in a registry, by tag, digest, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactReference(Reference);

impl ArtifactReference {
    /// Whether a component is named by its place in a registry.
    pub fn is_reference(component: &str) -> bool {
        component.starts_with(SCHEME)
    }

    /// Reads a reference, with or without `oci://`. Without tag and digest it has the tag `latest`.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for a text that is no reference, or names no registry.
    pub fn parse(text: &str) -> Result<Self, OperatorError> {
        let place = text.strip_prefix(SCHEME).unwrap_or(text);
        let names_registry = place.split_once('/').is_some_and(|(host, _)| {
            host == "localhost" || host.contains('.') || host.contains(':')
        });
        if !names_registry {
            return Err(OperatorError::new(
                ErrorName::InvalidConfig,
                format!(
                    "{text} names no registry. Give oci://REGISTRY/REPOSITORY:TAG, or @DIGEST instead of the tag."
                ),
            ));
        }
        let reference = place.parse().map_err(|error| {
            OperatorError::new(
                ErrorName::InvalidConfig,
                format!("{text} is no reference to an artifact: {error}. Give oci://REGISTRY/REPOSITORY:TAG, or @DIGEST instead of the tag."),
            )
        })?;
        Ok(Self(reference))
    }

    /// The digest of the artifact, if the reference has one.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The name within the registry.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The same place with the digest of an artifact in place of the tag.
    #[must_use]
    pub fn at(&self, digest: &str) -> Self {
        let (registry, repository) = (self.registry().to_owned(), self.repository().to_owned());
        Self(Reference::with_digest(
            registry,
            repository,
            digest.to_owned(),
        ))
    }

    /// The artifact that holds the signatures of the artifact with this digest.
    #[must_use]
    pub(super) fn of_signatures(&self, digest: &str) -> Self {
        let (registry, repository) = (self.registry().to_owned(), self.repository().to_owned());
        let tag = format!("{}.sig", digest.replacen(':', "-", 1));
        Self(Reference::with_tag(registry, repository, tag))
    }

    pub(super) fn inner(&self) -> &Reference {
        &self.0
    }

    /// Whether the registry is on this machine. Such a registry may speak plain HTTP.
    pub(super) fn is_local(&self) -> bool {
        let registry = self.registry();
        let host = match registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => registry,
        };
        let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for ArtifactReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_their_registry() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for text in [
            "oci://registry.example/team/mask:1.0.0".to_owned(),
            format!("oci://127.0.0.1:5000/mask@{digest}"),
            format!("oci://registry.example:443/a/b/c:v1@{digest}"),
        ] {
            assert_eq!(ArtifactReference::parse(&text).unwrap().to_string(), text);
        }
        let latest = ArtifactReference::parse("localhost/mask").unwrap();
        assert_eq!(latest.to_string(), "oci://localhost/mask:latest");
        for text in [
            "",
            "mask",
            "team/mask:1",
            "oci://team/mask",
            "oci://a.b/UPPER",
            "oci://a.b/c@sha256:12",
            "oci://a.b/",
        ] {
            assert!(ArtifactReference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_registry_of_this_machine_is_known_by_its_address() {
        for (text, is_local) in [
            ("127.0.0.1:5000/a", true),
            ("localhost:5000/a", true),
            ("127.8.0.1/a", true),
            ("10.0.0.1:5000/a", false),
            ("localhost.example.com/a", false),
            ("registry.example:5000/a", false),
        ] {
            assert_eq!(
                ArtifactReference::parse(text).unwrap().is_local(),
                is_local,
                "{text}"
            );
        }
    }

    #[test]
    fn signatures_lie_under_the_tag_of_the_digest() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let signed = ArtifactReference::parse("oci://a.b/c:1").unwrap();
        let tag = format!("oci://a.b/c:sha256-{}.sig", "ab".repeat(32));
        assert_eq!(signed.of_signatures(&digest).to_string(), tag);
        assert_eq!(
            signed.at(&digest).to_string(),
            format!("oci://a.b/c@{digest}")
        );
    }
}
