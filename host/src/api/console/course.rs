//! Phases with their times and estimates, and the charts of lag, rates and oplog.

use maud::{Markup, html};

use super::chart::Chart;
use super::quantity::{count, duration, rate, readable, size, size_rate, time};
use super::view::View;
use crate::model::State;
use crate::model::history::{History, Milestone, Sample};

/// Samples from which a present rate is taken: a minute.
const RECENT: usize = 6;

/// The phases so far, and the estimate of the present phase.
pub(super) fn phases(view: &View) -> Markup {
    let milestones = &view.history.milestones;
    let ends = milestones.iter().skip(1).map(|next| Some(next.at));
    let phases: Vec<_> = milestones.iter().zip(ends.chain([None])).collect();
    // The newest are at the end.
    let hidden = phases.len().saturating_sub(12);
    html! {
        section #phases {
            h2 { "Phases" }
            (bars(view))
            @if phases.is_empty() {
                p.empty { "None yet." }
            } @else {
                @if hidden > 0 { p { "Earlier phases: " (hidden) ". They stand in the timeline." } }
                div.scroll tabindex="0" role="region" aria-label="Phases" {
                    table {
                        thead { tr { th scope="col" { "Phase" } th scope="col" { "State" } th scope="col" { "Since (UTC)" } th scope="col" { "Took" } } }
                        tbody {
                            @for (phase, end) in phases.into_iter().skip(hidden) {
                                (row(view, phase, end))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(view: &View, phase: &Milestone, end: Option<u32>) -> Markup {
    let took = match end {
        Some(end) => duration(u64::from(end.saturating_sub(phase.at))),
        None => estimate(view).unwrap_or_else(|| "goes on".to_owned()),
    };
    html! {
        tr {
            td { (phase.info.as_deref().unwrap_or("waiting")) }
            td { (phase.state) }
            td { (readable(&time(phase.at))) }
            td { (took) }
        }
    }
}

/// The time that the present phase still needs.
fn estimate(view: &View) -> Option<String> {
    let progress = &view.progress;
    let copy = progress.copy;
    let left = copy.total_bytes.saturating_sub(copy.copied_bytes);
    if progress.state != State::Running {
        return None;
    }
    if let Some(seconds) = progress.seconds_to_catch_up.filter(|seconds| *seconds > 0) {
        return Some(format!("about {} left", duration(seconds)));
    }
    if left == 0 || progress.info != Some("collection copy") {
        return None;
    }
    let bytes = recent(&view.history, |sample| sample.bytes)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    let seconds = (left as f64 / bytes) as u64;
    Some(format!("about {} left", duration(seconds)))
}

/// The mean of the last samples; `None` if it is 0 or unknown.
fn recent(history: &History, figure: fn(&Sample) -> f64) -> Option<f64> {
    let samples = history.hour.iter().rev().take(RECENT);
    let number = f64::from(u32::try_from(samples.len()).unwrap_or(1));
    let mean = samples.map(figure).sum::<f64>() / number;
    (mean > 0.0).then_some(mean)
}

/// Bars of the copy, the index build and the verification.
fn bars(view: &View) -> Markup {
    let progress = &view.progress;
    let (copy, indexes) = (progress.copy, progress.indexes);
    html! {
        @if progress.sync_id.is_some() {
            div.bars {
                (bar("Copied", copy.copied_bytes, copy.total_bytes, &format!(
                    "{} of {}, {} documents", size(copy.copied_bytes), size(copy.total_bytes), count(copy.copied_documents)
                )))
                (bar("Indexes built", indexes.built, indexes.total, &format!(
                    "{} of {}; collections {} of {}", count(indexes.built), count(indexes.total),
                    count(indexes.collections_finished), count(indexes.collections_total)
                )))
                @if let Some(verified) = &progress.verification {
                    (bar("Verified", verified.collections_verified, verified.collections, &format!(
                        "{} of {} collections, {} documents", count(verified.collections_verified),
                        count(verified.collections), count(verified.documents)
                    )))
                }
            }
        }
    }
}

fn bar(label: &str, done: u64, all: u64, words: &str) -> Markup {
    let id = format!("bar-{}", label.replace(' ', "-").to_lowercase());
    // Nothing to do is done.
    let (value, max) = if all == 0 {
        (1, 1)
    } else {
        (done.min(all), all)
    };
    html! {
        div.bar {
            label for=(id) { (label) }
            progress id=(id) value=(value) max=(max) { (words) }
            span { (words) }
        }
    }
}

/// The charts of the last hour, and of the whole sync.
pub(super) fn charts(view: &View) -> Markup {
    let history = &view.history;
    html! {
        section #charts {
            h2 { "The last hour" }
            div.charts { @for chart in of(&history.hour, History::INTERVAL) { (chart.render()) } }
            details data-key="run" {
                summary { "The whole sync" }
                div.charts { @for chart in of(&history.run, history.run_interval) { (chart.render()) } }
            }
        }
    }
}

fn of(samples: &[Sample], interval: u32) -> [Chart; 5] {
    let seconds = |value: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole seconds"
        )]
        let whole = value as u64;
        duration(whole)
    };
    let chart = |title, format, figure: fn(&Sample) -> Option<f64>| Chart {
        title,
        points: samples
            .iter()
            .map(|sample| (sample.at, figure(sample)))
            .collect(),
        interval,
        format,
    };
    [
        chart("Lag", seconds, |sample| sample.lag.map(f64::from)),
        chart("Change events applied", rate, |sample| Some(sample.events)),
        chart("Copied", size_rate, |sample| Some(sample.bytes)),
        chart("Writes on the source", rate, |sample| sample.writes),
        chart("Oplog headroom", seconds, |sample| {
            let seconds = u32::try_from(sample.oplog?);
            Some(f64::from(seconds.unwrap_or(u32::MAX)))
        }),
    ]
}
