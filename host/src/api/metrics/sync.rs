//! The numbers of the host and of its sync.

use super::exposition::{Kind, Metric, Sample};
use crate::model::plugins::PluginProgress;
use crate::model::{Progress, Readiness, State};
use crate::observe::VERSION;

const STATES: [State; 6] = [
    State::Idle,
    State::Running,
    State::Paused,
    State::Committing,
    State::Committed,
    State::Reversing,
];

const ROLES: [&str; 4] = ["starting", "idle", "active", "standby"];

/// Of the host, whether or not a sync has begun.
pub(super) fn of_host(readiness: &Readiness) -> Vec<Metric> {
    let roles = ROLES.into_iter().map(|role| {
        let labels = vec![("role", role.to_owned())];
        (labels, truth(role == readiness.role))
    });
    let clusters = readiness.clusters.iter().map(|(cluster, answers)| {
        let labels = vec![("cluster", (*cluster).to_owned())];
        (labels, truth(*answers))
    });
    let version = vec![("version", VERSION.to_owned())];
    vec![
        gauge(
            "tidegate_build_info",
            "1, with the release as a label",
            [(version, 1.0)],
        ),
        gauge(
            "tidegate_role",
            "1 for what this host is to the sync, 0 for the others",
            roles,
        ),
        gauge(
            "tidegate_cluster_up",
            "1 while the cluster answers, 0 when it has not for 2 seconds",
            clusters,
        ),
    ]
}

/// Of the sync.
pub(super) fn of_sync(progress: &Progress) -> Vec<Metric> {
    let mut metrics = of_state(progress);
    metrics.extend(of_work(progress));
    metrics.extend(of_plugins(&progress.plugins));
    metrics
}

fn of_state(progress: &Progress) -> Vec<Metric> {
    let phase = progress.info.map(|info| {
        let labels = vec![("phase", info.to_owned())];
        (labels, 1.0)
    });
    vec![
        gauge(
            "tidegate_state",
            "1 for the state that the sync is in, 0 for the others",
            states(progress.state),
        ),
        gauge(
            "tidegate_phase",
            "1, with the step of the work as a label, as info of /progress has it",
            phase,
        ),
        gauge(
            "tidegate_lag_seconds",
            "Newest source cluster time minus newest applied; absent when not known, and after COMMITTED",
            progress.lag_seconds.map(f64::from).and_then(known),
        ),
        gauge(
            "tidegate_catch_up_seconds",
            "Seconds until change event application has caught up; absent when not known",
            progress.seconds_to_catch_up.map(number).and_then(known),
        ),
        gauge(
            "tidegate_oplog_remaining_seconds",
            "Seconds for which the source's oplog will still hold the position; absent when not known",
            progress.oplog_seconds_remaining.map(number).and_then(known),
        ),
        gauge(
            "tidegate_can_commit",
            "1 when a commit would be accepted now",
            one(truth(progress.cannot_commit.is_none())),
        ),
    ]
}

fn of_work(progress: &Progress) -> Vec<Metric> {
    let copy = &progress.copy;
    vec![
        counter(
            "tidegate_events_applied",
            "Change events that are applied",
            one(number(progress.total_events_applied)),
        ),
        counter(
            "tidegate_copy_bytes",
            "Bytes of uncompressed documents that are copied",
            one(number(copy.copied_bytes)),
        ),
        gauge(
            "tidegate_copy_estimated_bytes",
            "Bytes of uncompressed documents that there are to copy, as estimated",
            one(number(copy.total_bytes.max(copy.copied_bytes))),
        ),
        counter(
            "tidegate_copied_documents",
            "Documents that are copied",
            one(number(copy.copied_documents)),
        ),
        gauge(
            "tidegate_quarantined_documents",
            "Documents that are in quarantine now",
            one(number(progress.quarantined)),
        ),
        gauge(
            "tidegate_warnings",
            "Warnings that /progress shows now",
            one(number(progress.warnings.len() as u64)),
        ),
    ]
}

/// Of each stage of the chain, since the host started.
fn of_plugins(chain: &[PluginProgress]) -> Vec<Metric> {
    vec![
        counter(
            "tidegate_plugin_documents",
            "Documents by what the plugin made of them",
            each(chain, |stage| {
                vec![
                    (Some(("outcome", "kept")), number(stage.kept)),
                    (Some(("outcome", "dropped")), number(stage.dropped)),
                    (Some(("outcome", "replaced")), number(stage.replaced)),
                    (Some(("outcome", "quarantined")), number(stage.quarantined)),
                ]
            }),
        ),
        counter(
            "tidegate_plugin_errors",
            "Documents and batches that the plugin answered with an error, or with nonsense",
            each(chain, |stage| vec![(None, number(stage.errors))]),
        ),
        counter(
            "tidegate_plugin_traps",
            "Calls that ended in a trap",
            each(chain, |stage| vec![(None, number(stage.traps))]),
        ),
        counter(
            "tidegate_plugin_bytes",
            "Bytes of documents that the plugin was given, and that it answered",
            each(chain, |stage| {
                vec![
                    (Some(("direction", "in")), number(stage.bytes_in)),
                    (Some(("direction", "out")), number(stage.bytes_out)),
                ]
            }),
        ),
        Metric::new(
            Kind::Summary,
            "tidegate_plugin_batch_seconds",
            "How long the plugin takes for a batch",
            each(chain, |stage| {
                vec![
                    (Some(("quantile", "0.5")), number(stage.p50_us) / 1e6),
                    (Some(("quantile", "0.99")), number(stage.p99_us) / 1e6),
                ]
            }),
        ),
    ]
}

fn gauge(
    name: &'static str,
    help: &'static str,
    samples: impl IntoIterator<Item = Sample>,
) -> Metric {
    Metric::new(Kind::Gauge, name, help, samples)
}

fn counter(
    name: &'static str,
    help: &'static str,
    samples: impl IntoIterator<Item = Sample>,
) -> Metric {
    Metric::new(Kind::Counter, name, help, samples)
}

/// Prometheus knows numbers of this kind alone.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The one sample of a metric without labels.
fn one(value: f64) -> [Sample; 1] {
    [(Vec::new(), value)]
}

fn known(value: f64) -> Option<Sample> {
    Some((Vec::new(), value))
}

fn states(now: State) -> impl Iterator<Item = Sample> {
    STATES.into_iter().map(move |state| {
        let labels = vec![("state", state.to_string())];
        (labels, truth(state == now))
    })
}

/// The samples of every stage, each with the label that tells it from the stage's
/// others. `stage` tells two stages of one component apart.
fn each(
    chain: &[PluginProgress],
    samples: impl Fn(&PluginProgress) -> Vec<(Option<(&'static str, &'static str)>, f64)>,
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
