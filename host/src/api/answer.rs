//! Parts that all state-changing calls share: the empty request body, the answer, and the run to completion.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::control::CallFuture;
use super::error::Refusal;
use crate::model::ErrorName;

/// Answer of an accepted call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success {
    /// Always true.
    #[schema(example = true)]
    success: bool,
}

/// Request body of a call without options: absent or `{}`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct NoOptions {}

/// Result of a call whose answer has no further fields.
pub(super) type CallResult = Result<Json<Success>, Refusal>;

impl Success {
    /// The answer for the result of a call.
    pub(super) fn json((): ()) -> Json<Self> {
        Json(Self { success: true })
    }
}

/// Runs `call` in a task of its own, to its end.
///
/// Cancellation: axum drops a handler whose connection closes. The task goes on, so a closed connection cannot leave a
/// transition half done.
///
/// # Errors
///
/// The error of the call; `InternalError` if it panicked.
pub(super) async fn run_to_completion<T: Send + 'static>(
    call: impl CallFuture<T> + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(call).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Refusal::new(
            ErrorName::InternalError,
            format!(
                "The call did not finish: {error}. See the log for details, and report this error."
            ),
        )),
    }
}
