//! Hosts: the one that works, this one, the lease, and the throttle.

use maud::{Markup, html};

use super::controls::button;
use super::quantity::readable;
use super::view::View;

pub(super) fn render(view: &View) -> Markup {
    let progress = &view.progress;
    html! {
        section #hosts {
            h2 { "Hosts" }
            dl.facts {
                div { dt { "This host" } dd { (progress.mongosync_id) ", " (view.readiness.role) } }
                @if let Some(lease) = &progress.lease {
                    div { dt { "Works on the sync" } dd { (lease.instance) ", release " (lease.release) } }
                    div { dt { "Term of the lease" } dd { (lease.term) } }
                    div { dt { "Lease" } dd { @if lease.ours { "held by this host" } @else { "not held by this host" } } }
                }
                @for (name, answers) in view.readiness.clusters {
                    div { dt { (name) } dd { @if answers { "answers" } @else { strong.bad { "does not answer" } } } }
                }
                @match &progress.throttle {
                    Some(throttle) => div {
                        dt { "Throttle" }
                        dd { (throttle.reason) " Since " (readable(&throttle.since)) ", " (throttle.delay_ms) " ms a batch." }
                    },
                    None => div { dt { "Throttle" } dd { "nothing is slowed" } },
                }
                @if let Some(blocks) = &progress.write_blocking {
                    @for (name, block) in [("Writes on the source", &blocks.source), ("Writes on the destination", &blocks.destination)] {
                        @if let Some(block) = block {
                            div { dt { (name) } dd { (blocked(block.is_blocked)) } }
                        }
                    }
                }
            }
            @if progress.hosts.len() > 1 {
                div.scroll tabindex="0" role="region" aria-label="Registered hosts" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Host" }
                                th scope="col" { "Release" }
                                th scope="col" { "Role" }
                                th scope="col" { "Items" }
                                th scope="col" { "Last sign of life" }
                            }
                        }
                        tbody {
                            @for host in &progress.hosts {
                                tr {
                                    th scope="row" { (host.instance) }
                                    td { (host.release) }
                                    td { (host.role.as_str()) }
                                    td { (host.items) }
                                    td { (host.heartbeat_age_ms) " ms ago" }
                                }
                            }
                        }
                    }
                }
            }
            @if view.readiness.role == "active" {
                details data-key="handover" {
                    summary { "Hand the sync over" }
                    p { "This process ends, and a standby or the next host that starts goes on." }
                    (button(view, "handover", "Hand over and end this process"))
                }
            }
        }
    }
}

fn blocked(is_blocked: Option<bool>) -> &'static str {
    match is_blocked {
        Some(true) => "blocked for users",
        Some(false) => "open",
        None => "unknown",
    }
}
