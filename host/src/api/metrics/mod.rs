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
mod otlp;
mod plugins;
mod process;
mod shadows;
mod sync;
mod verification;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use super::Control;
pub(super) use calls::measure;
use exposition::{Exposition, Format};
pub use otlp::export_metrics;

/// The numbers of the host and of the sync, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The numbers, one per line.", body = String, content_type = "text/plain")),
)]
pub(super) async fn scrape<C: Control>(
    State(control): State<Arc<C>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT);
    let format = Format::of(accepted.iter().filter_map(|value| value.to_str().ok()));
    let text = snapshot(&*control).await.text(format);
    ([(header::CONTENT_TYPE, format.content_type())], text)
}

/// All numbers of this moment.
async fn snapshot<C: Control>(control: &C) -> Exposition {
    let (readiness, progress) = (control.readiness(), control.progress().await);
    let mut exposition = Exposition::default();
    host::expose(&readiness, &mut exposition);
    sync::expose(&progress, &mut exposition);
    course::expose(&progress, &mut exposition);
    verification::expose(progress.verification.as_ref(), &mut exposition);
    plugins::expose(&progress.plugins, &mut exposition);
    shadows::expose(&progress.shadows, &mut exposition);
    calls::expose(&mut exposition);
    process::expose(&mut exposition);
    exposition
}
