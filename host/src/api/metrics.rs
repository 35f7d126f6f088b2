//! `GET /metrics`: every metric by name, unit and meaning, in the OpenMetrics
//! text that Prometheus reads.
//!
//! A scrape is one snapshot of the progress, so its numbers belong together. What
//! is not known is left out, never 0. Names are part of the API.

use std::fmt;
use std::sync::Arc;

use axum::extract::State as Extracted;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::Control;
use super::error::Refusal;
use crate::model::plugins::PluginProgress;
use crate::model::{ErrorName, Progress, State};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const STATES: [State; 6] = [
    State::Idle,
    State::Running,
    State::Paused,
    State::Committing,
    State::Committed,
    State::Reversing,
];

/// The sync's numbers, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")),
)]
pub(super) async fn scrape<C: Control>(
    Extracted(control): Extracted<Arc<C>>,
) -> Result<impl IntoResponse, Refusal> {
    let mut registry = Registry::with_prefix("tidegate");
    registry.register_collector(Box::new(Snapshot(control.progress().await)));
    let mut text = String::new();
    text::encode(&mut text, &registry).map_err(|error| {
        Refusal::new(
            ErrorName::InternalError,
            format!("The metrics cannot be written: {error}. Please report it."),
        )
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

#[derive(Debug)]
struct Snapshot(Progress);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = of_sync(&self.0).into_iter();
        metrics
            .chain(of_plugins(&self.0.plugins))
            .filter(|metric| !metric.samples.is_empty())
            .try_for_each(|metric| metric.encode(&mut encoder))
    }
}

fn of_sync(progress: &Progress) -> Vec<Metric> {
    let copy = &progress.copy;
    vec![
        gauge(
            "state",
            "1 for the state that the sync is in, 0 for the others",
            states(progress.state),
        ),
        gauge(
            "lag",
            "Newest source cluster time minus newest applied; absent when not known",
            progress
                .lag_seconds
                .map(u64::from)
                .into_iter()
                .flat_map(one),
        )
        .in_unit(Unit::Seconds),
        gauge(
            "can_commit",
            "1 when a commit would be accepted now",
            one(u64::from(progress.cannot_commit.is_none())),
        ),
        counter(
            "events_applied",
            "Change events that are applied",
            one(progress.total_events_applied),
        ),
        counter(
            "copy",
            "Bytes of uncompressed documents that are copied",
            one(copy.copied_bytes),
        )
        .in_unit(Unit::Bytes),
        gauge(
            "copy_estimated",
            "Bytes of uncompressed documents that there are to copy, as estimated",
            one(copy.total_bytes.max(copy.copied_bytes)),
        )
        .in_unit(Unit::Bytes),
        counter(
            "copied_documents",
            "Documents that are copied",
            one(copy.copied_documents),
        ),
        gauge(
            "quarantined_documents",
            "Documents that are in quarantine now",
            one(progress.quarantined),
        ),
    ]
}

/// Of each stage of the chain, since the host started.
fn of_plugins(chain: &[PluginProgress]) -> Vec<Metric> {
    vec![
        counter(
            "plugin_documents",
            "Documents by what the plugin made of them",
            each(chain, |stage| {
                vec![
                    (Some(("outcome", "kept")), stage.kept),
                    (Some(("outcome", "dropped")), stage.dropped),
                    (Some(("outcome", "replaced")), stage.replaced),
                    (Some(("outcome", "quarantined")), stage.quarantined),
                ]
            }),
        ),
        counter(
            "plugin_errors",
            "Documents and batches that the plugin answered with an error, or with nonsense",
            each(chain, |stage| vec![(None, stage.errors)]),
        ),
        counter(
            "plugin_traps",
            "Calls that ended in a trap",
            each(chain, |stage| vec![(None, stage.traps)]),
        ),
        counter(
            "plugin",
            "Bytes of documents that the plugin was given, and that it answered",
            each(chain, |stage| {
                vec![
                    (Some(("direction", "in")), stage.bytes_in),
                    (Some(("direction", "out")), stage.bytes_out),
                ]
            }),
        )
        .in_unit(Unit::Bytes),
        gauge(
            "plugin_batch",
            "How long the plugin takes for a batch",
            each(chain, |stage| {
                vec![
                    (Some(("quantile", "0.5")), stage.p50_us),
                    (Some(("quantile", "0.99")), stage.p99_us),
                ]
            }),
        )
        .in_unit(Unit::Other("microseconds".to_owned())),
    ]
}

/// A metric and its values. Its name gets the unit, and a counter's `_total`.
struct Metric {
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    kind: MetricType,
    samples: Vec<Sample>,
}

type Sample = (Vec<(&'static str, String)>, u64);

fn gauge(
    name: &'static str,
    help: &'static str,
    samples: impl IntoIterator<Item = Sample>,
) -> Metric {
    Metric {
        name,
        unit: None,
        help,
        kind: MetricType::Gauge,
        samples: samples.into_iter().collect(),
    }
}

fn counter(
    name: &'static str,
    help: &'static str,
    samples: impl IntoIterator<Item = Sample>,
) -> Metric {
    Metric {
        kind: MetricType::Counter,
        ..gauge(name, help, samples)
    }
}

impl Metric {
    fn in_unit(self, unit: Unit) -> Self {
        Self {
            unit: Some(unit),
            ..self
        }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let unit = self.unit.as_ref();
        let mut family = encoder.encode_descriptor(self.name, self.help, unit, self.kind)?;
        for (labels, value) in &self.samples {
            if labels.is_empty() {
                self.write(&mut family, *value)?;
            } else {
                self.write(&mut family.encode_family(labels)?, *value)?;
            }
        }
        Ok(())
    }

    fn write(&self, sample: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
        match self.kind {
            MetricType::Counter => sample.encode_counter::<NoLabelSet, _, u64>(&value, None),
            _ => sample.encode_gauge(&value),
        }
    }
}

/// The one sample of a metric without labels.
fn one(value: u64) -> [Sample; 1] {
    [(Vec::new(), value)]
}

fn states(now: State) -> impl Iterator<Item = Sample> {
    STATES.into_iter().map(move |state| {
        let labels = vec![("state", state.to_string())];
        (labels, u64::from(state == now))
    })
}

/// The samples of every stage, each with the label that tells it from the stage's
/// others. `stage` tells two stages of one component apart.
fn each(
    chain: &[PluginProgress],
    samples: impl Fn(&PluginProgress) -> Vec<(Option<(&'static str, &'static str)>, u64)>,
) -> impl Iterator<Item = Sample> {
    chain.iter().enumerate().flat_map(move |(index, stage)| {
        samples(stage).into_iter().map(move |(label, value)| {
            let mut labels = vec![
                ("stage", index.to_string()),
                ("plugin", stage.name.clone()),
                ("digest", stage.digest.clone()),
            ];
            labels.extend(label.map(|(name, value)| (name, value.to_owned())));
            (labels, value)
        })
    })
}
