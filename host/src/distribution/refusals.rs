//! Refusals of what a registry answers.

use oci_client::errors::{OciDistributionError, OciErrorCode};

use super::reference::ArtifactReference;
use crate::model::{ErrorName, OperatorError};

/// Characters of a registry's answer that a message quotes.
const QUOTED: usize = 300;

pub(super) fn refuse(name: ErrorName, message: impl Into<String>) -> OperatorError {
    OperatorError::new(name, message)
}

/// The refusal of an artifact that is not a component.
pub(super) fn not_a_component(place: &ArtifactReference, reason: &str) -> OperatorError {
    refuse(
        ErrorName::PluginNotSupported,
        format!("{place} is not a component: {reason}."),
    )
}

/// The refusal for an error of the registry's client while it works on `place`.
pub(super) fn refusal(place: &ArtifactReference, error: &OciDistributionError) -> OperatorError {
    if is_not_found(error) {
        return refuse(
            ErrorName::PluginNotFound,
            format!(
                "The registry has no artifact {place}. Correct the repository, the tag or the digest."
            ),
        );
    }
    let reason = match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => {
            "it refuses the credentials, or asks for some. Log in with a tool that writes Docker's configuration file, or give --registryAuthFile".to_owned()
        }
        OciDistributionError::DigestError(_) => {
            "what it sent does not have the digest that was asked for".to_owned()
        }
        OciDistributionError::ImageIndexParsingNoPlatformResolverError => {
            return not_a_component(place, "it is an index of several images");
        }
        OciDistributionError::RequestError(error) => causes(error),
        other => other.to_string(),
    };
    refuse(
        ErrorName::RegistryFailed,
        format!(
            "The registry of {place} did not do what was asked for: {}.",
            reason.chars().take(QUOTED).collect::<String>()
        ),
    )
}

/// An error with its causes: the first alone says that a request failed, not why.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether the registry has answered that it has no such artifact.
pub(super) fn is_not_found(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| {
                matches!(
                    error.code,
                    OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::NotFound
                )
            })
        }
        _ => false,
    }
}
