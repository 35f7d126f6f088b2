//! Commands of the preflight, and their failures in the operator's words.

use bson::Document;

use super::super::{
    Cluster,
    cluster::{admin, refused},
};
use crate::model::{ErrorName, OperatorError};

/// Runs a command on `admin`, and says what went wrong in the operator's words.
pub(super) async fn ask(cluster: &Cluster, command: Document) -> Result<Document, OperatorError> {
    admin(cluster, command)
        .await
        .map_err(|error| refused(cluster, &error))
}

/// For a reply that lacks what every supported server sends.
pub(super) fn unexpected(cluster: &Cluster, command: &str, field: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::ServerVersionNotSupported,
        format!(
            "{}'s reply to {command} has no {field}. tidegate works with MongoDB servers only; \
             check where the connection string leads.",
            cluster.name.as_str()
        ),
    )
}
