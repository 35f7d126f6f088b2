//! Index builds, and the builds that failed.

use maud::{Markup, html};

use super::quantity::count;
use super::view::View;

/// Failed builds on the page. The API lists all.
const SHOWN: usize = 50;

pub(super) fn render(view: &View) -> Markup {
    let indexes = view.progress.indexes;
    let failures = &view.progress.index_failures;
    html! {
        section #indexes {
            h2 { "Indexes" }
            @if indexes.collections_total == 0 {
                p.empty { "None yet." }
            } @else {
                p {
                    "Built: " (count(indexes.built)) " of " (count(indexes.total)) ". Collections with all of theirs: "
                    (count(indexes.collections_finished)) " of " (count(indexes.collections_total)) "."
                }
            }
            @if !failures.is_empty() {
                p { strong.bad { "Not built: " (failures.len()) } ". The commit builds them again, and says what it cannot restore." }
                div.scroll tabindex="0" role="region" aria-label="Failed index builds" {
                    table {
                        thead { tr { th scope="col" { "Collection" } th scope="col" { "Index" } th scope="col" { "Reason" } } }
                        tbody {
                            @for failure in failures.iter().take(SHOWN) {
                                tr { th scope="row" { (failure.namespace) } td { (failure.index) } td { (failure.reason) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
