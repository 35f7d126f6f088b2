//! The chain of plugins, the quarantine, and the versions: installed against pinned, what waits, and upgrades.

use maud::{Markup, html};

use super::controls::{button, swap_form, upload_form};
use super::quantity::{count, readable, short, size};
use super::view::{SHOWN, View};
use crate::model::State;
use crate::model::plugins::PluginProgress;
use crate::model::shadow::ShadowProgress;

/// The chain with its counts, and the quarantine.
pub(super) fn chain(view: &View) -> Markup {
    let plugins = &view.progress.plugins;
    html! {
        section #plugins {
            h2 { "Plugins" }
            @if plugins.is_empty() {
                p.empty { "No plugin sees the documents at present." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Plugins" {
                    table {
                        thead { tr {
                            th scope="col" { "Plugin" } th.number scope="col" { "Documents" } th.number scope="col" { "Dropped" }
                            th.number scope="col" { "Replaced" } th.number scope="col" { "Quarantined" }
                            th.number scope="col" { "Errors, traps" } th.number scope="col" { "Median, p99 of a batch" }
                        } }
                        tbody { @for plugin in plugins { (plugin_row(plugin)) } }
                    }
                }
            }
            @for plugin in plugins { (observations(plugin)) }
            (shadows(view))
            (quarantine(view))
            (swap_form(view))
            (upload_form(view))
        }
    }
}

fn plugin_row(plugin: &PluginProgress) -> Markup {
    html! {
        tr {
            th scope="row" { (plugin.name) " " code title=(plugin.digest) { (short(&plugin.digest)) } }
            td.number { (count(plugin.documents)) }
            td.number { (count(plugin.dropped)) }
            td.number { (count(plugin.replaced)) }
            td.number { (count(plugin.quarantined)) }
            td.number { (count(plugin.errors)) ", " (count(plugin.traps)) }
            td.number { (count(plugin.p50_us)) ", " (count(plugin.p99_us)) " µs" }
        }
    }
}

/// What a plugin has counted and logged; nothing for a plugin that does neither.
fn observations(plugin: &PluginProgress) -> Markup {
    let lines = plugin.log_lines;
    let logs = lines.written > 0 || lines.dropped > 0 || lines.not_allowed > 0;
    html! {
        @if !plugin.counts.is_empty() || plugin.counts_dropped > 0 {
            p {
                "Counted by " (plugin.name) ": "
                @for (name, value) in &plugin.counts { code { (name) } " " (count(*value)) ", " }
                "dropped " (count(plugin.counts_dropped)) "."
            }
        }
        @if logs {
            p {
                "Log lines of " (plugin.name) ": " (count(lines.written)) " written, " (count(lines.dropped)) " dropped, "
                (count(lines.not_allowed)) " not allowed (" code { "pluginLogs" } ")."
            }
        }
    }
}

/// Builds that are compared with plugins; nothing without one.
fn shadows(view: &View) -> Markup {
    let shadows = &view.progress.shadows;
    html! {
        @if !shadows.is_empty() {
            h3 { "Shadows" }
            div.scroll tabindex="0" role="region" aria-label="Shadows" {
                table {
                    thead { tr {
                        th scope="col" { "Use" } th scope="col" { "Build" } th.number scope="col" { "Compared" }
                        th.number scope="col" { "Different" } th.number scope="col" { "Skipped, failed" }
                        th.number scope="col" { "Median, p99 of a batch" } th scope="col" { "Ended" }
                    } }
                    tbody { @for shadow in shadows { (shadow_row(shadow)) } }
                }
            }
        }
    }
}

fn shadow_row(shadow: &ShadowProgress) -> Markup {
    html! {
        tr {
            th scope="row" { (shadow.slot) }
            td { (shadow.name) " " (shadow.version) " " code title=(shadow.digest) { (short(&shadow.digest)) } }
            td.number { (count(shadow.documents)) }
            td.number { (count(shadow.different)) }
            td.number { (count(shadow.skipped)) ", " (count(shadow.failed)) }
            td.number { (count(shadow.p50_us)) ", " (count(shadow.p99_us)) " µs" }
            td { @if let Some(end) = shadow.end { (end.as_str()) } }
        }
    }
}

fn quarantine(view: &View) -> Markup {
    let listed = &view.quarantined;
    html! {
        h3 { "Quarantine" }
        @if view.progress.quarantined == 0 {
            p.empty { "Empty." }
        } @else {
            p { "Documents that are not on the destination: " (count(view.progress.quarantined)) }
            div.scroll tabindex="0" role="region" aria-label="Quarantine" {
                table {
                    thead { tr { th scope="col" { "Namespace" } th scope="col" { "_id" } th scope="col" { "Plugin" } th scope="col" { "Reason" } } }
                    tbody {
                        @for document in listed {
                            tr {
                                th scope="row" { (document.namespace) }
                                td { code { (document.document_id) } }
                                td { (document.component) }
                                td { (document.reason) }
                            }
                        }
                    }
                }
            }
            @if listed.len() >= SHOWN as usize { p { "The first " (SHOWN) " are shown." } }
            @if view.progress.state == State::Running { (button(view, "retryQuarantine", "Try them again")) }
        }
    }
}

/// Installed and pinned components, what waits, and the history of upgrades and swaps.
pub(super) fn versions(view: &View) -> Markup {
    let set = &view.progress.feature_set;
    html! {
        section #versions {
            h2 { "Versions" }
            p { "Release " b { (view.progress.upgrade.binary_version) } ", feature set " (set.name) " " (set.version) "." }
            @if !set.pinned.is_empty() { (pins(view)) }
            @if !set.deferred.is_empty() {
                h3 { "What waits" }
                ul { @for waiting in &set.deferred { li { b { (waiting.name) } ": " (waiting.reason) } } }
            }
            (upgrades(view))
        }
    }
}

fn pins(view: &View) -> Markup {
    let set = &view.progress.feature_set;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Components" {
            table {
                thead { tr { th scope="col" { "Use" } th scope="col" { "Component" } th scope="col" { "Pinned" } th scope="col" { "Installed" } } }
                tbody {
                    @for pin in &set.pinned {
                        @let installed = set.available.iter().find(|one| one.name == pin.component.name);
                        tr {
                            th scope="row" { (pin.slot) }
                            td { (pin.component.name) }
                            td {
                                (pin.component.version) " " code title=(pin.component.digest) { (short(&pin.component.digest)) }
                                @if let Some(signer) = &pin.signed_by { ", signed by " (signer) }
                            }
                            td {
                                @match installed {
                                    Some(one) if one.digest == pin.component.digest => "the same",
                                    Some(one) => { (one.version) " " code title=(one.digest) { (short(&one.digest)) } },
                                    None => "not part of this release",
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn upgrades(view: &View) -> Markup {
    let history = &view.progress.upgrade.history;
    html! {
        @if !history.is_empty() {
            h3 { "Live upgrades" }
            div.scroll tabindex="0" role="region" aria-label="Live upgrades" {
                table {
                    thead { tr { th scope="col" { "At (UTC)" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Metadata" } th.number scope="col" { "Pause" } th scope="col" { "Outcome" } } }
                    tbody {
                        @for upgrade in history.iter().rev() {
                            tr {
                                td { (readable(&upgrade.at)) }
                                td { (upgrade.from_binary) }
                                td { (upgrade.to_binary) }
                                td { (upgrade.from_metadata) " to " (upgrade.to_metadata) }
                                td.number { @if let Some(ms) = upgrade.paused_ms { (ms) " ms" } }
                                td { (upgrade.outcome) }
                            }
                        }
                    }
                }
            }
        }
        @let uploads: Vec<_> = view.installed.iter().filter(|plugin| !plugin.component.shipped).collect();
        @if !uploads.is_empty() {
            h3 { "Uploaded components" }
            ul {
                @for upload in uploads {
                    @let component = &upload.component;
                    li {
                        (component.info.name) " " (component.info.version) " " code { (short(&component.info.digest)) } ", "
                        (size(u64::try_from(component.bytes).unwrap_or(u64::MAX)))
                        @if upload.in_use { ", in use" }
                    }
                }
            }
        }
    }
}
