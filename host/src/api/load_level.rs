//! Handler of `POST /loadLevel`: the load that the sync puts on both clusters, from now on.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Control;
use super::answer::{CallResult, Success, run_to_completion};
use super::error::{Failure, Refusal};
use super::request::read_body;
use crate::model::ErrorName;

/// Body of `POST /loadLevel`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct LoadLevelRequest {
    /// The load level, as mongosync's option `loadLevel` has it.
    #[schema(value_type = u8, example = 2)]
    level: i64,
}

/// Changes the load that the sync puts on both clusters. Answers when the level is persisted.
#[utoipa::path(
    post, path = "/api/v1/loadLevel", tag = "control", operation_id = "loadLevel",
    request_body = LoadLevelRequest,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn set<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    let LoadLevelRequest { level } = read_body(body).await?;
    let level = match u8::try_from(level) {
        Ok(level @ 1..=4) => level,
        _ => {
            return Err(Refusal::new(
                ErrorName::InvalidField,
                format!("Field 'level' is {level}. Give a whole number from 1 to 4."),
            ));
        }
    };
    run_to_completion(async move { control.load_level(level).await })
        .await
        .map(Success::json)
}
