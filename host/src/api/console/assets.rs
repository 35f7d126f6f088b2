//! Style, script and error pages of the console, embedded in the binary.

use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use maud::html;

use super::page::document;
use crate::api::error::Refusal;
use crate::model::ErrorName;

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");
const SCRIPT: &str = include_str!("script.js");

/// `docs/errors`: machines without internet have the pages, too.
static ERRORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../docs/errors");

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Another release may serve this port a moment later.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// The page of an error, as it stands in `docs/errors`.
pub(super) async fn error_page(Path(name): Path<String>) -> Response {
    let known = ErrorName::ALL.iter().find(|known| known.as_str() == name);
    let page = known.and_then(|known| ERRORS.get_file(format!("{known}.md")));
    let Some(text) = page.and_then(include_dir::File::contents_utf8) else {
        let message = format!("No error has the name '{name}'.");
        return Refusal::new(ErrorName::NotFound, message).into_response();
    };
    super::html(document(
        &name,
        &html! {
            main #content {
                section {
                    p { a href="/" { "Back to the console" } }
                    (markdown(text))
                }
            }
        },
    ))
}

/// Headings, paragraphs and list items of an error page. Links stay text: their targets are files of the repository.
fn markdown(text: &str) -> maud::Markup {
    html! {
        @for block in text.split("\n\n").map(str::trim) {
            @if let Some(title) = block.strip_prefix("# ") {
                h1 { (title) }
            } @else if let Some(title) = block.strip_prefix("## ") {
                h2 { (title) }
            } @else if block.starts_with("- ") {
                ul {
                    @for item in block.split("\n- ") {
                        li { (item.trim_start_matches("- ")) }
                    }
                }
            } @else if block.starts_with("    ") || block.starts_with("```") {
                pre { (block.trim_matches('`')) }
            } @else {
                p { (block) }
            }
        }
    }
}
