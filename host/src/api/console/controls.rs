//! The forms: one for each call that the state allows.

use maud::{Markup, html};

use super::quantity::short;
use super::view::View;
use crate::model::State;
use crate::model::state::Call;

/// The calls of the console's forms: the last part of their path, and their name for people.
const CALLS: [(&str, &str); 12] = [
    ("start", "Start"),
    ("pause", "Pause"),
    ("resume", "Resume"),
    ("commit", "Commit"),
    ("reverse", "Reverse"),
    ("handover", "Handover"),
    ("loadLevel", "Load level"),
    ("repair", "Repair"),
    ("verifyAgain", "New comparison"),
    ("retryQuarantine", "Retry of the quarantine"),
    ("recopy", "Copy again"),
    ("upgrade", "Swap"),
];

/// The name of a call for people.
pub(super) fn label_of(call: &str) -> Option<&'static str> {
    let found = CALLS.iter().find(|(name, _)| *name == call);
    found.map(|(_, label)| *label)
}

/// A button that makes a call without options, for readers who may make it.
pub(super) fn button(view: &View, call: &str, label: &str) -> Markup {
    html! {
        @if view.may(call) {
            form.inline method="post" action=(format!("/console/{call}")) { button { (label) } }
        }
    }
}

/// The calls that the state allows.
pub(super) fn render(view: &View) -> Markup {
    let state = view.progress.state;
    let works_here = matches!(view.readiness.role, "active" | "idle");
    html! {
        section #controls {
            h2 { "Controls" }
            @if !view.may("pause") {
                p.empty { "The role " (view.caller.role) " of " (view.caller.name) " changes nothing." }
            } @else if !works_here {
                p.empty { "This host does not work on the sync." }
            } @else {
                @if state.allows(Call::Start) { (start_form()) }
                div.actions {
                    @if state.allows(Call::Pause) { (button(view, "pause", "Pause")) }
                    @if state.allows(Call::Resume) { (button(view, "resume", "Resume")) }
                    @if state == State::Running { (load_level_form(view)) }
                }
                @if state.allows(Call::Commit) && view.may("commit") { (commit_form(view)) }
                @if state.allows(Call::Reverse) && view.may("reverse") { (reverse_form(view)) }
                @if state == State::Running { (recopy_form()) }
                @if matches!(state, State::Committing | State::Reversing) { p.empty { "No call is possible until this step ends." } }
            }
        }
    }
}

fn start_form() -> Markup {
    html! {
        form.stacked method="post" action="/console/start" {
            h3 { "Start a sync" }
            label {
                "From "
                select name="source" {
                    option value="cluster0" { "cluster0 to cluster1" }
                    option value="cluster1" { "cluster1 to cluster0" }
                }
            }
            label {
                "Block users' writes on "
                select name="blocking" {
                    option value="" { "the default" }
                    option value="destinationOnly" { "the destination" }
                    option value="sourceAndDestination" { "the destination, and the source at commit" }
                    option value="none" { "no cluster" }
                }
            }
            label { input type="checkbox" name="reversible" value="true"; " Reversible after the cutover" }
            label { input type="checkbox" name="usersAndRoles" value="true"; " Bring over users and roles of the synced databases at commit" }
            label { input type="checkbox" name="usersOfAdmin" value="true"; " And those of admin and $external" }
            label {
                "Further options of " code { "POST /api/v1/start" } ", as JSON (optional)"
                textarea name="options" rows="4" spellcheck="false" placeholder="{ \"includeNamespaces\": [ { \"database\": \"shop\" } ] }" {}
            }
            button { "Start" }
        }
    }
}

fn load_level_form(view: &View) -> Markup {
    let options = view.progress.options.as_ref();
    let level = options.and_then(|options| options.load_level);
    html! {
        form.inline method="post" action="/console/loadLevel" {
            label {
                "Load level "
                select name="level" {
                    @for one in 1..=4_u8 { option value=(one) selected[one == level.unwrap_or(3)] { (one) } }
                }
            }
            button { "Set" }
        }
    }
}

/// The field for the sync's name, which has to be typed.
fn name_field(view: &View) -> Markup {
    let sync = view.progress.sync_id.as_deref().unwrap_or_default();
    html! {
        label {
            "Type the sync's name " code { (sync) }
            input name="sync" required autocomplete="off" spellcheck="false" pattern=(sync.replace('.', "\\."));
        }
    }
}

fn commit_form(view: &View) -> Markup {
    let can = view.progress.cannot_commit.is_none();
    html! {
        details data-key="commit" {
            summary { "Commit: cut over to " (view.progress.destination.cluster) }
            @if let Some(reason) = &view.progress.cannot_commit { p.bad { (reason) } }
            form.stacked method="post" action="/console/commit" {
                p { "Stop the applications first, unless the sync blocks the source. The rest is compared, unique indexes are restored, and then applications may write to " (view.progress.destination.cluster) "." }
                (name_field(view))
                label { "Undo the commit if writes are blocked for more than "
                    input name="maxBlockSeconds" type="number" min="1" max="86400" value="60"; " seconds (empty: never)" }
                button.danger disabled[!can] { "Commit" }
            }
        }
    }
}

fn reverse_form(view: &View) -> Markup {
    let options = view.progress.options.as_ref();
    html! {
        @if options.is_some_and(|options| options.reversible) {
            details data-key="reverse" {
                summary { "Reverse: sync from " (view.progress.destination.cluster) " back to " (view.progress.source.cluster) }
                form.stacked method="post" action="/console/reverse" {
                    p { "Writes since the cutover are applied to " (view.progress.source.cluster) ", whose users' writes stay blocked." }
                    (name_field(view))
                    button.danger { "Reverse" }
                }
            }
        } @else {
            p.empty { "The sync was not started as reversible." }
        }
    }
}

fn recopy_form() -> Markup {
    html! {
        details data-key="recopy" {
            summary { "Compare and copy a collection again" }
            form.stacked method="post" action="/console/recopy" {
                label { "Database " input name="database" required autocomplete="off"; }
                label { "Collection (empty: all of the database) " input name="collection" autocomplete="off"; }
                button { "Copy again" }
            }
        }
    }
}

/// The swap of a pinned component by an installed build.
pub(super) fn swap_form(view: &View) -> Markup {
    let pins: Vec<_> = view.progress.feature_set.pinned.iter().collect();
    let candidates: Vec<_> = view
        .installed
        .iter()
        .filter(|plugin| !plugin.in_use)
        .map(|plugin| &plugin.component.info)
        .filter(|info| pins.iter().any(|pin| pin.component.name == info.name))
        .collect();
    let is_allowed = matches!(view.progress.state, State::Running | State::Paused);
    html! {
        @if is_allowed && view.may("upgrade") && !candidates.is_empty() {
            form.stacked method="post" action="/console/upgrade" {
                h3 { "Swap a component" }
                label {
                    "New build "
                    select name="component" {
                        @for info in candidates {
                            option value=(format!("{} {}", info.name, info.digest)) { (info.name) " " (info.version) " " (short(&info.digest)) }
                        }
                    }
                }
                label {
                    "If it answers otherwise than the pinned build "
                    select name="onIncompatible" {
                        option value="refuse" { "refuse" }
                        option value="recopy" { "copy its collections again" }
                    }
                }
                button { "Swap" }
            }
        }
    }
}

/// The upload of a component. A form without a script cannot send the bytes as the API takes them.
pub(super) fn upload_form(view: &View) -> Markup {
    let works_here = matches!(view.readiness.role, "active" | "idle");
    html! {
        // An upload needs the role of a commit.
        @if works_here && view.may("commit") {
            details data-key="upload" {
                summary { "Upload a component" }
                noscript { p { "Without JavaScript, upload it with " code { "tidegate plugin add FILE" } "." } }
                form.stacked data-upload="/api/v1/plugins" {
                    label { "WebAssembly component " input name="file" type="file" accept=".wasm" required; }
                    button { "Upload" }
                    p data-answer role="status" {}
                }
            }
        }
    }
}
