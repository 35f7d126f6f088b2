//! The console: one page for operators, rendered here.
//!
//! Every section is HTML of the server, so the page is complete without JavaScript; a script of a few lines replaces
//! sections that have changed. The page loads nothing from elsewhere, and its policy
//! (`Content-Security-Policy`) forbids it.

mod assets;
mod chart;
mod collections;
mod components;
mod controls;
mod course;
mod form;
mod host;
mod indexes;
mod options;
mod page;
mod quantity;
mod timeline;
mod users;
mod verdict;
mod verification;
mod view;
mod warnings;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::Markup;
use std::sync::Arc;

use super::Control;

/// Only this server's own style and script. No inline code, no frames, no forms to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The pages of the console, and the calls of its forms.
pub(super) fn routes<C: Control>() -> Router<Arc<C>> {
    Router::new()
        .route("/", get(page::show::<C>))
        .route("/console/errors/{name}", get(assets::error_page))
        .route("/console/style.css", get(assets::style))
        .route("/console/icon.svg", get(assets::icon))
        .route("/console/script.js", get(assets::script))
        .route("/console/{call}", post(form::submit::<C>))
}

/// An HTML answer with the headers of every page of the console.
fn html(markup: Markup) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would take the Origin from forms, which the API checks.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (headers, markup.into_string()).into_response()
}
