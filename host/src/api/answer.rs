//! The parts that calls have in common: their end, their answer, and a body without options.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::control::CallFuture;
use super::error::Refusal;
use crate::model::ErrorName;

/// What an accepted call answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success {
    /// Always true.
    #[schema(example = true)]
    success: bool,
}

/// The body of a call without options: absent or `{}`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct NoOptions {}

/// How a call that answers nothing more ends.
pub(super) type CallResult = Result<Json<Success>, Refusal>;

impl Success {
    pub(super) fn json((): ()) -> Json<Self> {
        Json(Self { success: true })
    }
}

/// Runs a call to its end, even if the caller goes away meanwhile: a dropped
/// connection must not leave a transition half done.
pub(super) async fn run_to_completion<T: Send + 'static>(
    call: impl CallFuture<T> + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(call).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Refusal::new(
            ErrorName::InternalError,
            format!(
                "The call did not come to its end: {error}. The log says more; please report it."
            ),
        )),
    }
}
