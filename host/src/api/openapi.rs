//! The OpenAPI document, made from the handlers and types that it describes.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;

use super::{metrics, plugins, quarantine, routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tidegate",
        description = "Controls one sync. Compatible with mongosync's API."
    ),
    paths(
        routes::start,
        routes::pause,
        routes::resume,
        routes::commit,
        routes::reverse,
        routes::handover,
        routes::progress,
        plugins::list,
        plugins::add,
        plugins::remove,
        plugins::upgrade,
        quarantine::list,
        quarantine::retry,
        routes::healthz,
        routes::readyz,
        metrics::scrape,
        document,
    )
)]
struct Document;

static TEXT: LazyLock<Result<String, serde_json::Error>> =
    LazyLock::new(|| Document::openapi().to_pretty_json());

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "control", responses((status = 200)))]
pub(super) async fn document() -> impl IntoResponse {
    let text = TEXT.as_ref().map_or("", String::as_str);
    ([(header::CONTENT_TYPE, "application/json")], text)
}
