//! Errors as HTTP answers. Holds the only map from error names to statuses, and mongosync's error body.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::input::InputError;
use crate::model::{ErrorName, OperatorError};

/// An error as the answer of a call. A newtype, so that `?` converts in handlers.
#[derive(Debug)]
pub(super) struct Refusal(OperatorError);

/// Answer of a refused call.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    /// Always false.
    #[schema(example = false)]
    success: bool,
    /// A stable name; docs/errors has a page for each.
    #[schema(example = "UnknownField")]
    error: &'static str,
    /// The fact, the reason and the next step.
    error_description: String,
}

impl Refusal {
    /// A refusal whose message is one or two sentences without credentials or contents of documents.
    pub(super) fn new(name: ErrorName, message: impl Into<String>) -> Self {
        Self(OperatorError::new(name, message))
    }
}

impl From<OperatorError> for Refusal {
    fn from(error: OperatorError) -> Self {
        Self(error)
    }
}

impl From<Refusal> for OperatorError {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        Self::new(
            error.name(),
            format!("The request body is refused: {error}."),
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let failure = Failure {
            success: false,
            error: self.0.name.as_str(),
            error_description: self.0.message.clone(),
        };
        let mut response = (status(self.0.name), Json(failure)).into_response();
        // For the log of calls.
        response.extensions_mut().insert(self.0);
        response
    }
}

/// The status of each error. 4xx: the caller or an operator has to act. 5xx: a cluster does not answer, or tidegate or
/// a component has failed.
///
/// The match lists every name, so that a new error does not compile without a decision.
pub(super) fn status(name: ErrorName) -> StatusCode {
    use ErrorName as N;
    match name {
        N::InvalidJson
        | N::UnknownField
        | N::MissingField
        | N::InvalidField
        | N::InvalidRegex
        | N::NotSupported
        | N::PluginNotSupported => StatusCode::BAD_REQUEST,
        N::Unauthorized => StatusCode::UNAUTHORIZED,
        N::HostNotAllowed | N::Forbidden | N::PluginNotTrusted => StatusCode::FORBIDDEN,
        N::NotFound | N::NamespaceNotFound | N::PluginNotFound | N::SecretNotFound => {
            StatusCode::NOT_FOUND
        }
        N::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        N::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        N::BodyIncomplete => StatusCode::REQUEST_TIMEOUT,
        N::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        N::ConnectionFailed | N::AuthenticationFailed | N::RegistryFailed => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        N::InvalidConfig
        | N::InvalidUri
        | N::PortInUse
        | N::UnprotectedAddress
        | N::FileNotPrivate
        | N::LogPathNotWritable
        | N::PluginFailed
        | N::PluginTrapped
        | N::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        // The call conflicts with the state of the sync or of its clusters.
        N::InvalidStateTransition
        | N::OptionsMismatch
        | N::CannotCommit
        | N::SyncMismatch
        | N::CommitTimedOut
        | N::SourceCatalogChanged
        | N::SourceWrittenDuringCommit
        | N::CommitVetoed
        | N::HookFailed
        | N::VerificationFailed
        | N::SameCluster
        | N::ClustersMismatch
        | N::StandaloneNotSupported
        | N::ShardedClusterNotSupported
        | N::ServerVersionNotSupported
        | N::FeatureCompatibilityVersionNotSupported
        | N::StorageEngineNotSupported
        | N::MajorityReadsNotSupported
        | N::MajorityNotReached
        | N::TableScansNotAllowed
        | N::DestinationNotEmpty
        | N::WritesBlocked
        | N::MissingPrivileges
        | N::TimeSeriesNotSupported
        | N::CollectionNotSupported
        | N::NamespaceCollision
        | N::OplogRolledOver
        | N::ChangeEventTooLarge
        | N::ChangeEventNotSupported
        | N::PluginInUse
        | N::IncompatiblePlugin
        | N::MetadataVersionNotSupported
        | N::StandbyInstance
        | N::MigrationFailed
        | N::DestinationRefused => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_name_has_its_page_and_every_page_its_name() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let mut found: Vec<String> = fs::read_dir(pages)
            .expect("the pages")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let mut wanted: Vec<String> = ErrorName::ALL
            .iter()
            .map(|name| format!("{name}.md"))
            .collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn every_refusal_is_a_client_or_a_server_error() {
        for name in ErrorName::ALL {
            let status = status(*name);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{name}: {status}"
            );
        }
    }
}
