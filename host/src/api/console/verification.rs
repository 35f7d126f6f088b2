//! The verification, and the list of mismatches with their repair.

use maud::{Markup, html};
use serde_json::Value;

use super::controls::button;
use super::quantity::{count, duration};
use super::view::{SHOWN, View};
use crate::model::State;
use crate::model::mismatch::ListedMismatch;
use crate::model::progress::VerificationProgress;

pub(super) fn render(view: &View) -> Markup {
    html! {
        section #verification {
            h2 { "Verification" }
            @match &view.progress.verification {
                Some(verification) => (body(view, verification)),
                None => p.empty { "Documents are not compared in this sync. " code { "tidegate verify" } " compares both clusters beside it." },
            }
        }
    }
}

fn body(view: &View, verification: &VerificationProgress) -> Markup {
    let works = view.progress.state == State::Running;
    html! {
        dl.facts {
            div { dt { "Differences open" } dd { (count(verification.mismatches)) } }
            div { dt { "Repaired" } dd { (count(verification.repaired)) } }
            div { dt { "Written by other clients" } dd { (count(verification.written_by_others)) } }
            div { dt { "Documents equal" } dd { (count(verification.documents)) } }
            @if let Some(lag) = verification.lag_seconds {
                div { dt { "Compared up to" } dd { (duration(u64::from(lag))) " ago" } }
            }
        }
        @if let Some(failure) = &verification.failure { p.bad { (failure) } }
        @if !view.mismatches.is_empty() { (list(&view.mismatches)) }
        div.actions {
            @if works && verification.mismatches > 0 { (button(view, "repair", "Repair from the source")) }
            @if works { (button(view, "verifyAgain", "Compare everything again")) }
            a.download href="/api/v1/verification/mismatches?limit=10000" download="mismatches.json" { "Download the differences" }
        }
    }
}

fn list(mismatches: &[ListedMismatch]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Differences" {
            table {
                thead { tr { th scope="col" { "Namespace" } th scope="col" { "Subject" } th scope="col" { "Kind" } th scope="col" { "Path" } th scope="col" { "State" } } }
                tbody {
                    @for listed in mismatches { (row(listed)) }
                }
            }
        }
        @if mismatches.len() >= SHOWN as usize { p { "The first " (SHOWN) " are shown." } }
    }
}

fn row(listed: &ListedMismatch) -> Markup {
    let fields = listed.to_json();
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    html! {
        tr {
            th scope="row" { (text("namespace")) }
            td { (text("subject")) " " code { (text("_id")) (text("name")) } }
            td { (text("kind")) }
            td { (text("path")) }
            td { (text("state")) }
        }
    }
}
