//! The page as a whole.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};

use super::view::{PageQuery, View};
use super::{
    collections, components, controls, course, host, indexes, options, timeline, users, verdict,
    verification, warnings,
};
use crate::api::Control;
use crate::api::error::Refusal;
use crate::api::request::read_query;
use crate::model::{Caller, OperatorError};

/// The console.
pub(super) async fn show<C: Control>(
    State(control): State<Arc<C>>,
    caller: Option<Extension<Caller>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let query: PageQuery = read_query(&uri)?;
    let view = View::read(&*control, reader(caller), query).await;
    Ok(super::html(document(&title(&view), &content(&view, None))))
}

/// The caller of a request that was admitted.
pub(super) fn reader(caller: Option<Extension<Caller>>) -> Caller {
    caller.map_or_else(Caller::local, |Extension(caller)| caller)
}

/// The title of the browser's tab: the state first.
pub(super) fn title(view: &View) -> String {
    let state = view.progress.state;
    match &view.progress.sync_id {
        Some(sync) => format!("{state} {sync}"),
        None => state.to_string(),
    }
}

/// A page with this title and body.
pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · tidegate" }
                link rel="stylesheet" href="/console/style.css";
                link rel="icon" href="/console/icon.svg";
                script src="/console/script.js" defer {}
            }
            body {
                header.top {
                    span.brand { "tidegate" }
                    span #freshness role="status" { "Reload the page for newer figures." }
                }
                (body)
            }
        }
    }
}

/// The sections of the console. `refused` is the error of the form that was submitted.
pub(super) fn content(view: &View, refused: Option<&OperatorError>) -> Markup {
    html! {
        main #content {
            (notice(view, refused))
            (verdict::render(view))
            (controls::render(view))
            (course::phases(view))
            (course::charts(view))
            (collections::render(view))
            (indexes::render(view))
            (verification::render(view))
            (users::render(view))
            (warnings::render(view))
            (components::chain(view))
            (components::versions(view))
            (host::render(view))
            (options::render(view))
            (timeline::render(view))
        }
    }
}

fn notice(view: &View, refused: Option<&OperatorError>) -> Markup {
    html! {
        @if let Some(error) = refused {
            section #notice.notice.bad role="alert" {
                h2 { "Refused: " (warnings::page_link(error.name.as_str())) }
                p { (error.message) }
                p { a href="/" { "Back to the console" } }
            }
        } @else if let Some(label) = view.query.done.as_deref().and_then(controls::label_of) {
            section #notice.notice.good role="status" {
                p { (label) ": accepted." }
            }
        }
    }
}
