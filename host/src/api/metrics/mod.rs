//! `GET /metrics`: the numbers of host, sync, plugins and process, in Prometheus's text format, or in OpenMetrics where
//! `Accept` asks for it.
//!
//! A scrape shows one snapshot of the progress, so its numbers are consistent. Unknown values are left out, never shown
//! as 0. Names and labels of families are part of the API.

mod calls;
mod course;
mod exposition;
mod family;
mod host;
mod plugins;
mod process;
mod sync;
mod verification;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use super::Control;
pub(super) use calls::{CallDurations, measure};
use exposition::{Exposition, Format};

/// The numbers of the host and of the sync, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The numbers, one per line.", body = String, content_type = "text/plain")),
)]
pub(super) async fn scrape<C: Control>(
    State(control): State<Arc<C>>,
    Extension(durations): Extension<Arc<CallDurations>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT);
    let format = Format::of(accepted.iter().filter_map(|value| value.to_str().ok()));
    let (readiness, progress) = (control.readiness(), control.progress().await);
    let mut exposition = Exposition::new(format);
    host::expose(&readiness, &mut exposition);
    sync::expose(&progress, &mut exposition);
    course::expose(&progress, &mut exposition);
    verification::expose(progress.verification.as_ref(), &mut exposition);
    plugins::expose(&progress.plugins, &mut exposition);
    calls::expose(&durations, &mut exposition);
    process::expose(&mut exposition);
    (
        [(header::CONTENT_TYPE, format.content_type())],
        exposition.finish(),
    )
}
