//! Commands of the preflight, with errors for operators.

use bson::Document;

use super::super::{
    Cluster,
    cluster::{admin, cluster_refusal},
};
use crate::model::{ErrorName, OperatorError};

/// Runs a command on `admin`, with an error for the operator.
pub(super) async fn ask(cluster: &Cluster, command: Document) -> Result<Document, OperatorError> {
    admin(cluster, command)
        .await
        .map_err(|error| cluster_refusal(cluster, &error))
}

/// The error for a reply without a field that every supported server sends.
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
