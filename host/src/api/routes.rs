//! Handlers of the calls that control and show the sync. Each handler reads and checks the request, calls the session
//! and writes the answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use super::Control;
use super::answer::{CallResult, NoOptions, Success, run_to_completion};
use super::error::{Failure, Refusal};
use super::progress::ProgressAnswer;
use super::request::read_body;
use super::start::StartRequest;
use crate::model::{ErrorName, Readiness};

/// Begins the sync, or continues the sync that was begun with the same options.
#[utoipa::path(
    post, path = "/api/v1/start", tag = "control",
    request_body = StartRequest,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn start<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    let options = read_body::<StartRequest>(body).await?.into_options()?;
    run_to_completion(async move { control.start(options).await })
        .await
        .map(Success::json)
}

/// Pauses the sync. Answers when its position is persisted.
#[utoipa::path(
    post, path = "/api/v1/pause", tag = "control",
    request_body = NoOptions,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn pause<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    read_body::<NoOptions>(body).await?;
    run_to_completion(async move { control.pause().await })
        .await
        .map(Success::json)
}

/// Resumes a paused sync.
#[utoipa::path(
    post, path = "/api/v1/resume", tag = "control",
    request_body = NoOptions,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn resume<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    read_body::<NoOptions>(body).await?;
    run_to_completion(async move { control.resume().await })
        .await
        .map(Success::json)
}

/// Gives the sync to a standby, or to the next host that starts. Answers when the work has stopped, its position is
/// persisted and the lease is released. The process then exits.
#[utoipa::path(
    post, path = "/api/v1/handover", tag = "control",
    request_body = NoOptions,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn handover<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    read_body::<NoOptions>(body).await?;
    run_to_completion(async move { control.handover().await })
        .await
        .map(Success::json)
}

/// Reverses the direction of a committed sync. Not supported in this release.
#[utoipa::path(
    post, path = "/api/v1/reverse", tag = "control",
    request_body = NoOptions,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn reverse<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    read_body::<NoOptions>(body).await?;
    run_to_completion(async move { control.reverse().await })
        .await
        .map(Success::json)
}

/// The progress of the sync.
#[utoipa::path(
    get, path = "/api/v1/progress", tag = "control",
    params(("collections" = Option<bool>, Query, description = "true: adds an entry for each collection")),
    responses((status = 200, description = "The snapshot.", body = ProgressAnswer), (status = "4XX", description = "Refused.", body = Failure)),
)]
pub(super) async fn progress<C: Control>(
    State(control): State<Arc<C>>,
    uri: Uri,
) -> Result<Json<ProgressAnswer>, Refusal> {
    let with_collections = wants_collections(uri.query().unwrap_or_default())?;
    Ok(Json(ProgressAnswer::new(
        control.progress().await,
        with_collections,
    )))
}

/// 200 while the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "The process answers.")))]
pub(super) async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// Answer of `/readyz`.
#[derive(Serialize, ToSchema)]
pub(super) struct ReadinessBody {
    /// Whether both clusters answer.
    ready: bool,
    /// The role of this host: "active", "standby", "idle" (no sync has begun) or "starting" (the clusters have not
    /// answered yet).
    role: &'static str,
    /// The state of the sync. Absent at a standby.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// The cluster that does not answer, and for how long. Absent while both answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// 200 while both clusters answer, 503 when a cluster has not answered for 2 seconds. Also tells the role of this host:
/// a standby can be ready, too.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Ready.", body = ReadinessBody), (status = 503, description = "Not ready, with the reason.", body = ReadinessBody)),
)]
pub(super) async fn readyz<C: Control>(
    State(control): State<Arc<C>>,
) -> (StatusCode, Json<ReadinessBody>) {
    let Readiness {
        ready,
        role,
        state,
        reason,
        ..
    } = control.readiness();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = ReadinessBody {
        ready,
        role,
        state: state.map(|state| state.to_string()),
        reason,
    };
    (status, Json(body))
}

/// The answer for an unknown path.
pub(super) async fn not_found(uri: Uri) -> Refusal {
    let path = uri.path();
    Refusal::new(
        ErrorName::NotFound,
        format!("No call has the path '{path}'. /api/v1/openapi.json lists all calls."),
    )
}

/// The answer for a known path with a method that it does not support.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    let path = uri.path();
    Refusal::new(
        ErrorName::MethodNotAllowed,
        format!("'{path}' does not support {method}. /api/v1/openapi.json lists all calls."),
    )
}

fn wants_collections(query: &str) -> Result<bool, Refusal> {
    match query
        .split('&')
        .find_map(|pair| pair.strip_prefix("collections="))
    {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Refusal::new(
            ErrorName::InvalidField,
            format!("Query field 'collections' is '{other}'; it has to be true or false."),
        )),
    }
}
