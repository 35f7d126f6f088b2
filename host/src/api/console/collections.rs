//! The collections: filtered, sorted, and a hundred a page.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::quantity::{count, rate, size};
use super::view::{SortKey, View};
use crate::model::progress::{CollectionProgress, CollectionVerification};

/// Collections of a page.
const PAGE: usize = 100;

pub(super) fn render(view: &View) -> Markup {
    let all = view.progress.collections.len();
    let shown = selected(view);
    let pages = shown.len().div_ceil(PAGE).max(1);
    let page = view.query.page.as_ref().and_then(|page| page.parse().ok());
    let page = page.unwrap_or(1).clamp(1, pages);
    html! {
        section #collections {
            h2 { "Collections" }
            @if all == 0 {
                p.empty { "None yet." }
            } @else {
                (filter(view))
                p { "Shown: " (count_of(shown.len())) " of " (count_of(all)) }
                div.scroll tabindex="0" role="region" aria-label="Collections" {
                    table {
                        thead { tr {
                            th scope="col" { "Name" } th scope="col" { "On the destination" } th scope="col" { "State" }
                            th.number scope="col" { "Documents" } th.number scope="col" { "Size" } th.number scope="col" { "Rate" } th scope="col" { "Compared" }
                        } }
                        tbody {
                            @for collection in shown.iter().skip((page - 1) * PAGE).take(PAGE) {
                                (row(view, collection))
                            }
                        }
                    }
                }
                (pager(view, page, pages))
            }
        }
    }
}

fn count_of(number: usize) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX))
}

/// The collections whose name has the filter's text, in the asked order.
fn selected(view: &View) -> Vec<&CollectionProgress> {
    let filter = view.query.filter.as_deref().unwrap_or_default();
    let all = view.progress.collections.iter();
    let mut shown: Vec<_> = all
        .filter(|collection| collection.namespace.to_string().contains(filter))
        .collect();
    let name = |collection: &&CollectionProgress| collection.namespace.to_string();
    match view.query.sort.unwrap_or_default() {
        SortKey::Name => shown.sort_by_cached_key(name),
        SortKey::Documents => shown.sort_by_key(|collection| Reverse(collection.documents)),
        SortKey::Bytes => shown.sort_by_key(|collection| Reverse(collection.bytes)),
        SortKey::Rate => shown.sort_by(|one, other| {
            let by_rate = other
                .documents_per_second
                .total_cmp(&one.documents_per_second);
            by_rate.then_with(|| name(one).cmp(&name(other)))
        }),
        SortKey::State => shown.sort_by_cached_key(|one| (one.state, name(one))),
    }
    shown
}

fn filter(view: &View) -> Markup {
    let sort = view.query.sort.unwrap_or_default();
    html! {
        form.inline method="get" action="/#collections" {
            label { "Name contains " input name="filter" value=(view.query.filter.as_deref().unwrap_or_default()); }
            label {
                "Sorted by "
                select name="sort" {
                    @for (key, value, label) in [
                        (SortKey::Name, "name", "name"), (SortKey::Bytes, "bytes", "size"),
                        (SortKey::Documents, "documents", "documents"), (SortKey::Rate, "rate", "rate"),
                        (SortKey::State, "state", "state"),
                    ] {
                        option value=(value) selected[key == sort] { (label) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

fn row(view: &View, collection: &CollectionProgress) -> Markup {
    let mut verified = view.progress.verified_collections.iter();
    let verified = verified
        .find(|(namespace, _)| *namespace == collection.namespace)
        .map(|(_, verified)| verified);
    html! {
        tr {
            th scope="row" { (collection.namespace) }
            td { @if collection.destination != collection.namespace { (collection.destination) } }
            td { (collection.state) }
            td.number { (count(collection.documents)) }
            td.number { (size(collection.bytes)) }
            td.number { @if collection.documents_per_second > 0.0 { (rate(collection.documents_per_second)) } }
            td { (compared(verified)) }
        }
    }
}

fn compared(verified: Option<&CollectionVerification>) -> String {
    match verified {
        None => String::new(),
        Some(verified) if verified.complete => "equal".to_owned(),
        Some(verified) => format!("{} documents", count(verified.documents)),
    }
}

fn pager(view: &View, page: usize, pages: usize) -> Markup {
    let hidden =
        |name: &'static str, value: &str| html! { input type="hidden" name=(name) value=(value); };
    let to = |page: usize, label: &str| {
        html! {
            form.inline method="get" action="/#collections" {
                @if let Some(filter) = &view.query.filter { (hidden("filter", filter)) }
                @match view.query.sort {
                    Some(SortKey::Bytes) => (hidden("sort", "bytes")),
                    Some(SortKey::Documents) => (hidden("sort", "documents")),
                    Some(SortKey::Rate) => (hidden("sort", "rate")),
                    Some(SortKey::State) => (hidden("sort", "state")),
                    _ => {},
                }
                button name="page" value=(page) { (label) }
            }
        }
    };
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages of collections" {
                @if page > 1 { (to(page - 1, "Previous")) }
                span { "Page " (page) " of " (pages) }
                @if page < pages { (to(page + 1, "Next")) }
            }
        }
    }
}
