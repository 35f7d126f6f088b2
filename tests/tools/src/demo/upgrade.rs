//! The first act: a sync of the previous release, killed, upgraded to this release as it runs, paused, resumed and
//! committed.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::{
    Comparison, Writer,
    host::{can_commit, number, text},
    process::Usage,
    workload::{Counts, Loaded, Pace, plugins},
};

use super::{
    Options,
    show::{Show, millions},
    stage::Stage,
    steps::{self, DEADLINE},
    summary::Upgrade,
};

/// `new`: the binary of this release.
pub(super) async fn play(
    stage: &mut Stage,
    show: &Show,
    new: &Path,
    options: &Options,
) -> Result<Upgrade> {
    show.title("Act 1: a live replica set copied into another, killed and upgraded on the way");
    show.done(&format!(
        "two replica sets: {} → {}",
        stage.source.address(),
        stage.destination.address()
    ));
    let loaded = load(stage, show, options).await?;
    let client = stage.source.client();
    let writer = Writer::start(client, options.documents, options.seed, Pace::default());
    show.done("a writer changes the source all the while, transactions and DDL included");

    let begun = Instant::now();
    start(stage, show).await?;
    let downtime = kill_in_the_copy(stage, show).await?;
    steps::reach_can_commit(stage, show, steps::COPIED).await?;
    let (paused_ms, usage_before) = upgrade(stage, show, new).await?;
    pause_and_resume(stage, show, &writer).await?;
    let counts = stop(stage, show, writer).await?;
    let usage = usage_before.and(commit(stage, show).await?);
    let sync = begun.elapsed();
    let events = number(&stage.host.progress().await?, "/totalEventsApplied");
    let compared = compare_all(stage, show).await?;
    Ok(Upgrade {
        loaded,
        compared,
        counts,
        events,
        sync,
        usage,
        downtime,
        paused_ms,
    })
}

async fn load(stage: &Stage, show: &Show, options: &Options) -> Result<Loaded> {
    let loaded = steps::load(stage, show, options.documents, options.seed).await?;
    show.done(&format!(
        "{} documents, {} MB, in {} collections of 3 databases; 3 more collections are filtered out",
        millions(loaded.documents),
        loaded.bytes / 1_000_000,
        loaded.collections,
    ));
    Ok(loaded)
}

async fn start(stage: &Stage, show: &Show) -> Result<()> {
    let filters = plugins::filters();
    stage.host.start(filters.clone()).await?;
    show.done(&format!("POST /api/v1/start on port {}", stage.host.port()));
    for field in ["includeNamespaces", "excludeNamespaces"] {
        show.detail(&format!(
            "{field}: {}",
            filters.get(field).unwrap_or(&Value::Null)
        ));
    }
    for plugin in filters
        .get("plugins")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        show.detail(&format!("plugin: {plugin}"));
    }
    Ok(())
}

/// kill -9 when a third is copied; how long the sync was down.
async fn kill_in_the_copy(stage: &mut Stage, show: &Show) -> Result<Duration> {
    let bars = show.bars();
    let a_third = |progress: &Value| {
        bars.update(progress);
        let copied = number(progress, "/collectionCopy/estimatedCopiedBytes");
        let total = number(progress, "/collectionCopy/estimatedTotalBytes");
        copied * 3 > total || is_past_copy(progress)
    };
    let before = stage
        .host
        .wait_until("a third is copied", DEADLINE, a_third)
        .await?;
    ensure!(
        !is_past_copy(&before),
        "the copy was over before it could be killed: more --documents"
    );
    let copied = number(&before, "/collectionCopy/estimatedCopiedBytes");
    let killed = Instant::now();
    stage.host.kill()?;
    bars.clear();
    show.done(&format!(
        "kill -9 after {} MB of the copy",
        copied / 1_000_000
    ));
    stage.host.restart().await?;
    stage.host.wait_for_state("RUNNING").await?;
    let downtime = killed.elapsed();
    let counted = |progress: &Value| {
        number(progress, "/collectionCopy/estimatedCopiedBytes") > 0 || is_past_copy(progress)
    };
    let after = stage
        .host
        .wait_until("the copy goes on", DEADLINE, counted)
        .await?;
    let kept = number(&after, "/collectionCopy/estimatedCopiedBytes");
    show.done(&format!(
        "the same command line again: RUNNING by itself after {} ms, the copy goes on from {} MB",
        downtime.as_millis(),
        kept / 1_000_000
    ));
    Ok(downtime)
}

fn is_past_copy(progress: &Value) -> bool {
    can_commit(progress) || text(progress, "info") == "change event application"
}

/// Terminates the host of the previous release while a host of this release is a standby. Returns the milliseconds
/// without an applied event, and the old host's usage.
async fn upgrade(stage: &mut Stage, show: &Show, new: &Path) -> Result<(u64, Usage)> {
    let standby = stage.stand_by(new).await?;
    let mut old = std::mem::replace(&mut stage.host, standby);
    let status = old.terminate().await?;
    ensure!(status.success(), "the previous release ended with {status}");
    let progress = stage
        .host
        .wait_until(
            "events are applied after the upgrade",
            DEADLINE,
            |progress| upgraded(progress).is_some(),
        )
        .await?;
    let (paused_ms, from, to) = upgraded(&progress).context("no upgrade is reported")?;
    show.done(&format!(
        "live upgrade from {from} to {to}, SIGTERM to the one with the other beside it: pausedMs {paused_ms}"
    ));
    Ok((paused_ms, old.usage()))
}

/// `pausedMs`, and the releases before and after.
fn upgraded(progress: &Value) -> Option<(u64, &str, &str)> {
    let upgrade = progress.pointer("/upgrade/history/0")?;
    let paused_ms = upgrade.get("pausedMs")?.as_u64()?;
    Some((
        paused_ms,
        text(upgrade, "fromBinary"),
        text(upgrade, "toBinary"),
    ))
}

/// Pauses while the writer goes on, then waits until the writes of that time are applied.
async fn pause_and_resume(stage: &Stage, show: &Show, writer: &Writer) -> Result<()> {
    const MEANWHILE: u64 = 1000;
    stage.host.pause().await?;
    let step = show.busy("PAUSED; the writer goes on");
    steps::wait_for_writes(writer, MEANWHILE).await?;
    let written = steps::cluster_time(&stage.source).await?;
    stage.host.resume().await?;
    // The lag may stay on a busy machine, where the writer is as fast as the host.
    let is_applied =
        |progress: &Value| number(progress, "/positions/reported/clusterTime/T") > written;
    stage
        .host
        .wait_until("the writes are applied", DEADLINE, is_applied)
        .await?;
    step.clear();
    show.done(&format!(
        "pause, {MEANWHILE} writes meanwhile, resume: applied, while the writer goes on"
    ));
    Ok(())
}

async fn stop(stage: &Stage, show: &Show, writer: Writer) -> Result<Counts> {
    let counts = writer.stop().await.context("the writer failed")?;
    stage
        .host
        .wait_until("lag of at most a second", DEADLINE, steps::is_in_step)
        .await?;
    show.done(&format!(
        "writer stopped after {} inserts, {} updates, {} replaces, {} deletes, {} transactions, {} DDL; caught up",
        counts.inserts, counts.updates, counts.replaces, counts.deletes, counts.transactions, counts.ddl
    ));
    Ok(counts)
}

async fn commit(stage: &Stage, show: &Show) -> Result<Usage> {
    let begun = Instant::now();
    stage.host.wait_can_commit().await?;
    stage.host.commit().await?;
    let committed = stage.host.wait_for_state("COMMITTED").await?;
    show.done(&format!(
        "POST /api/v1/commit: COMMITTED after {} ms, canWrite {}, blockedMs {}",
        begun.elapsed().as_millis(),
        committed.get("canWrite").unwrap_or(&Value::Null),
        committed.get("blockedMs").unwrap_or(&Value::Null)
    ));
    Ok(stage.host.usage())
}

async fn compare_all(stage: &Stage, show: &Show) -> Result<Comparison> {
    let compared = steps::compare_all(stage, show, &plugins::expected()?).await?;
    show.done(&format!(
        "equal byte for byte, masked and filtered as asked: {} documents, {} collections, {} indexes",
        millions(compared.documents),
        compared.collections,
        compared.indexes
    ));
    Ok(compared)
}
