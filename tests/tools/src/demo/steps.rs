//! Steps that both acts have.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use support::{
    Comparison, ReplicaSet, Writer,
    compare::{Expectation, compare},
    doc,
    host::can_commit,
    wait::{Look, wait_until},
    workload::{self, Loaded},
};

use super::{
    show::{Show, millions},
    stage::Stage,
};

/// Longest time of a step.
pub(super) const DEADLINE: Duration = Duration::from_secs(180);

/// The phases of a sync until it can be committed.
pub(super) const COPIED: &str = "collection copy done, indexes built, change events applied";

pub(super) async fn load(stage: &Stage, show: &Show, documents: u64, seed: u64) -> Result<Loaded> {
    let step = show.busy(&format!("loading {} documents", millions(documents)));
    let loaded = workload::load(stage.source.client(), documents, seed).await?;
    step.clear();
    Ok(loaded)
}

/// `reached`: the phases that are done.
pub(super) async fn reach_can_commit(stage: &Stage, show: &Show, reached: &str) -> Result<()> {
    let bars = show.bars();
    let is_reached = |progress: &Value| {
        bars.update(progress);
        can_commit(progress)
    };
    stage
        .host
        .wait_until("canCommit", DEADLINE, is_reached)
        .await?;
    bars.clear();
    show.done(&format!("{reached}: canCommit"));
    Ok(())
}

/// Whether the sync could be committed in a moment: a lag of at most a second.
pub(super) fn is_in_step(progress: &Value) -> bool {
    let lag = progress.get("lagTimeSeconds").and_then(Value::as_u64);
    can_commit(progress) && lag.is_some_and(|seconds| seconds <= 1)
}

/// Waits until the writer has done `more` operations.
pub(super) async fn wait_for_writes(writer: &Writer, more: u64) -> Result<()> {
    let before = writer.counts().total();
    wait_until("the writer writes", DEADLINE, async || {
        let written = writer.counts().total() - before;
        Ok(if written >= more {
            Look::Done(())
        } else {
            Look::NotYet(format!("{written} writes"))
        })
    })
    .await
}

/// The cluster time of a set, in seconds.
pub(super) async fn cluster_time(set: &ReplicaSet) -> Result<u64> {
    let answer = set.admin(doc! { "ping": 1 }).await?;
    Ok(u64::from(answer.get_timestamp("operationTime")?.time))
}

/// Compares the destination with the expected contents; fails on a difference.
pub(super) async fn compare_all(
    stage: &Stage,
    show: &Show,
    expectation: &dyn Expectation,
) -> Result<Comparison> {
    let step = show.busy("comparing every document, collection option, view and index");
    let (source, destination) = (stage.source.client(), stage.destination.client());
    let compared = compare(source, destination, expectation)
        .await?
        .into_result()?;
    step.clear();
    Ok(compared)
}
