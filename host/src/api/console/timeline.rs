//! The timeline: changes of the state and the step, upgrades, swaps, resyncs and calls, newest first.

use maud::{Markup, html};

use super::quantity::{readable, time};
use super::view::View;
use crate::model::audit::AuditRecord;

/// Entries of the timeline.
const SHOWN: usize = 200;

pub(super) fn render(view: &View) -> Markup {
    let entries = entries(view);
    html! {
        section #timeline {
            h2 { "Timeline" }
            @if entries.is_empty() {
                p.empty { "Nothing has happened yet." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Timeline" {
                    table {
                        thead { tr { th scope="col" { "At (UTC)" } th scope="col" { "Event" } } }
                        tbody {
                            @for (at, event) in entries.iter().take(SHOWN) {
                                tr { td { (readable(at)) } td { (event) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Who called what, and the outcome.
fn call(record: &AuditRecord) -> (String, String) {
    let at = bson::DateTime::from_millis(record.at_ms);
    let who = record.who.as_deref().unwrap_or("unknown caller");
    let from = record.from.as_deref().unwrap_or("-");
    let outcome = match (&record.error, record.status) {
        (Some(error), _) => error.clone(),
        (None, Some(status)) => format!("answered {status}"),
        (None, None) => "in progress".to_owned(),
    };
    let given: Vec<String> = record
        .parameters
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let given = match given.is_empty() {
        true => String::new(),
        false => format!(" ({})", given.join(", ")),
    };
    let event = format!("{who} from {from}: {}{given}: {outcome}", record.call);
    (at.try_to_rfc3339_string().unwrap_or_default(), event)
}

/// Times as RFC 3339, and sentences; newest first.
fn entries(view: &View) -> Vec<(String, String)> {
    let progress = &view.progress;
    let mut entries = Vec::new();
    for milestone in &view.history.milestones {
        let event = match &milestone.info {
            Some(info) => format!("{}: {info}", milestone.state),
            None => milestone.state.clone(),
        };
        entries.push((time(milestone.at), event));
    }
    for upgrade in &progress.upgrade.history {
        let event = format!(
            "Live upgrade from release {} to release {}: {}.",
            upgrade.from_binary, upgrade.to_binary, upgrade.outcome
        );
        entries.push((upgrade.at.clone(), event));
    }
    for swap in &progress.feature_set.swaps {
        let event = format!(
            "{} of {} swapped from version {} to {}.",
            swap.name, swap.slot, swap.from_version, swap.to_version
        );
        entries.push((swap.at.clone(), event));
    }
    if let Some(resync) = &progress.resync {
        let event = format!("Resync: {}", resync.reason);
        entries.push((resync.at.clone(), event));
    }
    entries.extend(view.audit.iter().rev().map(call));
    // The texts of one format sort as their times do. Entries of one second keep their order.
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    entries.reverse();
    entries
}
