//! The verdict: whether the cutover can be called now, or the reason why not.

use maud::{Markup, html};

use super::quantity::{count, duration};
use super::view::View;
use crate::model::State;
use crate::model::progress::{Endpoint, VerificationProgress};

/// The verdict and its grounds.
pub(super) fn render(view: &View) -> Markup {
    let (class, words, reason) = verdict(view);
    let progress = &view.progress;
    html! {
        section #verdict.verdict.(class) aria-live="polite" {
            h1 { (words) }
            @if let Some(reason) = reason { p.reason { (reason) } }
            dl.facts {
                div { dt { "State" } dd { (progress.state) } }
                @if let Some(info) = progress.info { div { dt { "Step" } dd { (info) } } }
                @if !progress.source.cluster.is_empty() {
                    div { dt { "From" } dd { (endpoint(&progress.source)) } }
                    div { dt { "To" } dd { (endpoint(&progress.destination)) } }
                }
                div { dt { "Lag of what is applied" } dd { (lag(view)) } }
                @if let Some(seconds) = progress.oplog_seconds_remaining {
                    div { dt { "Oplog headroom" } dd { (duration(seconds)) } }
                }
                @if let Some(ms) = progress.blocked_ms {
                    div { dt { "Writes blocked for" } dd { (ms) " ms" } }
                }
                @if let Some(sync) = &progress.sync_id {
                    div { dt { "Sync" } dd { code { (sync) } } }
                }
            }
        }
    }
}

fn endpoint(endpoint: &Endpoint) -> Markup {
    html! {
        (endpoint.cluster) ": " (endpoint.address)
        @match endpoint.ping_ms {
            Some(ping) => small { " " (ping) " ms" },
            None => strong.bad { " does not answer" },
        }
    }
}

fn lag(view: &View) -> String {
    match (view.progress.lag_seconds, view.progress.state) {
        (Some(lag), _) => duration(u64::from(lag)),
        (None, State::Running | State::Committing) => "unknown".to_owned(),
        (None, _) => "none is measured in this state".to_owned(),
    }
}

/// Class of the section, the verdict and its reason.
fn verdict(view: &View) -> (&'static str, String, Option<String>) {
    let progress = &view.progress;
    if view.readiness.role == "standby" {
        let works = match progress.coordinator_id.as_str() {
            "" => "Another host works on the sync.".to_owned(),
            host => format!("The host {host} works on the sync. Open its console to control it."),
        };
        return ("waiting", "This host is a standby".to_owned(), Some(works));
    }
    let destination = progress.destination.cluster;
    match progress.state {
        State::Committed => (
            "good",
            format!("Cut over: applications may write to {destination}"),
            None,
        ),
        State::Committing => (
            "waiting",
            "The cutover is under way".to_owned(),
            progress.info.map(str::to_owned),
        ),
        State::Reversing => ("waiting", "The direction is reversed".to_owned(), None),
        State::Idle => (
            "waiting",
            "No sync has begun".to_owned(),
            view.readiness.reason.clone(),
        ),
        State::Running | State::Paused => can_cut_over(view),
    }
}

fn can_cut_over(view: &View) -> (&'static str, String, Option<String>) {
    let verification = view.progress.verification.as_ref();
    let differing = verification.map_or(0, |verification| verification.mismatches);
    if let Some(reason) = &view.progress.cannot_commit {
        let no = "Safe to cut over: no".to_owned();
        return ("bad", no, Some(reason.clone()));
    }
    if differing > 0 {
        let reason = format!(
            "Differences between the clusters: {}. Repair them, or commit fails.",
            count(differing)
        );
        return ("bad", "Safe to cut over: no".to_owned(), Some(reason));
    }
    (
        "good",
        "Safe to cut over: yes".to_owned(),
        verification.map(proof),
    )
}

/// How much of the data is proven equal.
fn proof(verification: &VerificationProgress) -> String {
    let (done, all) = (verification.collections_verified, verification.collections);
    match (done == all, verification.lag_seconds) {
        (true, Some(lag)) => format!(
            "All {} collections are equal byte for byte on both clusters, as of {} ago.",
            count(all),
            duration(u64::from(lag))
        ),
        _ => format!(
            "Collections compared so far: {} of {}. Commit compares the rest first.",
            count(done),
            count(all)
        ),
    }
}
