//! `GET /metrics`: every metric by name, unit and meaning, in the text that Prometheus reads, or in
//! OpenMetrics where the request asks for it.
//!
//! A scrape is one snapshot of the progress, so its numbers belong together. What
//! is not known is left out, never 0. Names are part of the API.

mod exposition;
mod family;
mod host;
mod plugins;
mod process;
mod sync;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use super::Control;
use exposition::{Exposition, Format};

/// The sync's numbers, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The numbers, one a line.", body = String, content_type = "text/plain")),
)]
pub(super) async fn scrape<C: Control>(
    State(control): State<Arc<C>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT);
    let format = Format::of(accepted.iter().filter_map(|value| value.to_str().ok()));
    let (readiness, progress) = (control.readiness(), control.progress().await);
    let mut exposition = Exposition::new(format);
    host::expose(&readiness, &mut exposition);
    sync::expose(&progress, &mut exposition);
    plugins::expose(&progress.plugins, &mut exposition);
    process::expose(&mut exposition);
    (
        [(header::CONTENT_TYPE, format.content_type())],
        exposition.finish(),
    )
}
