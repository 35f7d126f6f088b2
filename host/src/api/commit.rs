//! Handler of `POST /commit`: the cutover.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Control;
use super::answer::{CallResult, Success, run_to_completion};
use super::error::{Failure, Refusal};
use super::request::read_body;
use crate::model::commit::CommitOptions;
use crate::model::{ErrorName, input};

/// Largest `maxBlockSeconds`: a day.
const MAX_SECONDS: u32 = 86_400;

/// Body of `POST /commit`. mongosync's is empty.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub(super) struct CommitRequest {
    /// Seconds after which the commit undoes itself, unless it is done; no limit if absent.
    #[schema(value_type = Option<u32>, example = 60)]
    max_block_seconds: Option<i64>,
    /// The syncID of `GET /progress`: the call is refused at a host of another sync.
    sync: Option<String>,
}

/// Begins the cutover. Answers at once; `/progress` shows each step, and the end: the state COMMITTED.
#[utoipa::path(
    post, path = "/api/v1/commit", tag = "control",
    request_body = CommitRequest,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn commit<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    let options = read_body::<CommitRequest>(body).await?.check()?;
    run_to_completion(async move { control.commit(options).await })
        .await
        .map(Success::json)
}

/// The options of a commit in the fields of a body.
///
/// # Errors
///
/// Every refusal of the body by `POST /commit`.
pub(super) fn options(body: Value) -> Result<CommitOptions, Refusal> {
    input::read::<CommitRequest>(body)?.check()
}

impl CommitRequest {
    /// # Errors
    ///
    /// `InvalidField` for a time out of its range.
    fn check(self) -> Result<CommitOptions, Refusal> {
        let max_block_seconds = self.max_block_seconds.map(|seconds| {
            u32::try_from(seconds)
                .ok()
                .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
                .ok_or_else(|| {
                    Refusal::new(
                        ErrorName::InvalidField,
                        format!(
                            "Field 'maxBlockSeconds' is {seconds}. Give a whole number from 1 to {MAX_SECONDS}, or leave \
                             it out."
                        ),
                    )
                })
        });
        Ok(CommitOptions {
            max_block_seconds: max_block_seconds.transpose()?,
            sync: self.sync,
        })
    }
}
