//! Errors about the command line of `tidegate plugin`, which have exit code 2.

use crate::model::{ErrorName, OperatorError};

/// An error about an argument.
pub(super) fn usage_error(message: impl Into<String>) -> anyhow::Error {
    OperatorError::new(ErrorName::InvalidConfig, message).into()
}

/// Whether an error is about the command line, a connection string included.
pub(super) fn is_usage_error(error: &anyhow::Error) -> bool {
    let name = error
        .downcast_ref::<OperatorError>()
        .map(|error| error.name);
    matches!(name, Some(ErrorName::InvalidConfig | ErrorName::InvalidUri))
}
