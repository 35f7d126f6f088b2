//! Warnings, each with the page of its error.

use maud::{Markup, html};

use super::view::View;
use crate::model::ErrorName;

pub(super) fn render(view: &View) -> Markup {
    let warnings = &view.progress.warnings;
    html! {
        section #warnings {
            h2 { "Warnings" }
            @if warnings.is_empty() {
                p.empty { "None." }
            } @else {
                ul.warnings {
                    @for warning in warnings { li { (with_links(warning)) } }
                }
            }
        }
    }
}

/// The text, with a link at each name of an error.
fn with_links(text: &str) -> Markup {
    html! {
        @for (place, word) in text.split(' ').enumerate() {
            @if place > 0 { " " }
            @let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
            @if ErrorName::ALL.iter().any(|name| name.as_str() == bare) {
                (page_link(bare)) (word.trim_start_matches(bare))
            } @else {
                (word)
            }
        }
    }
}

/// A link to the page of an error.
pub(super) fn page_link(name: &str) -> Markup {
    html! { a href=(format!("/console/errors/{name}")) { (name) } }
}
