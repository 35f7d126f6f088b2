//! Findings about stops: pause, SIGTERM and handover take effect within a second, in every phase of the work. Each
//! test is named after its finding.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use support::{
    Rig,
    host::{DEADLINE, text},
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::{
    findings_commands::{GIVES_UP, fail_points, in_step},
    steps::{self, fail_command, heal, insert, names, wait_for_document, wait_in_step},
};

/// "Within a second", plus the overhead of the test itself on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(1_800);

/// Collections in a single batch: they take the destination far longer than a second.
const CREATES: usize = 400;

/// Pauses, which has to be answered at once.
pub(crate) async fn pause_at_once(rig: &Rig) -> Result<()> {
    let begun = Instant::now();
    rig.host.pause().await?;
    let taken = begun.elapsed();
    ensure!(taken < AT_ONCE, "pause took {taken:?}");
    let progress = rig.host.progress().await?;
    ensure!(text(&progress, "state") == "PAUSED", "{progress:#}");
    Ok(())
}

/// SIGTERM, which has to take effect within `limit`.
pub(crate) async fn terminate_within(rig: &mut Rig, limit: Duration) -> Result<()> {
    let begun = Instant::now();
    let status = rig.host.terminate().await?;
    let taken = begun.elapsed();
    ensure!(
        status.success() && taken < limit,
        "{status} after {taken:?}"
    );
    Ok(())
}

#[tokio::test]
async fn f23_calls_answer_while_the_destination_is_silent() -> Result<()> {
    let mut rig = in_step(Options::default()).await?;
    rig.destination.process()?.freeze()?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "unheard" }]).await?;
    let begun = Instant::now();
    let answer = rig.host.call("POST", "/api/v1/pause", "{}").await?;
    let taken = begun.elapsed();
    ensure!(
        taken < GIVES_UP,
        "pause took {taken:?}: {} {}",
        answer.status,
        answer.body
    );
    terminate_within(&mut rig, GIVES_UP).await?;
    rig.destination.process()?.thaw()?;
    rig.host.restart().await?;
    rig.host
        .wait_until("the sync is found again", DEADLINE, |progress| {
            ["RUNNING", "PAUSED"].contains(&text(progress, "state"))
        })
        .await?;
    if text(&rig.host.progress().await?, "state") == "PAUSED" {
        rig.host.resume().await?;
    }
    wait_for_document(&rig, "app", "c", "unheard").await?;
    rig.allow_log("not persisted");
    rig.finish().await.map(drop)
}

/// A single deadline by the clock, here of 20 s. The reason names the cluster and the time.
#[tokio::test]
async fn f23_an_outage_pauses_the_sync_at_its_deadline() -> Result<()> {
    let mut rig = in_step(Options {
        host_environment: vec![("TIDEGATE_OUTAGE_SECONDS".to_owned(), "20".to_owned())],
        ..Options::default()
    })
    .await?;
    rig.allow_log("the sync has stopped and can be resumed");
    rig.destination.kill()?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "late" }]).await?;
    let progress = rig.host.wait_for_state("PAUSED").await?.to_string();
    ensure!(
        progress.contains("the destination failed for"),
        "{progress}"
    );
    // As long as the outage lasts: alive, not ready, and paused for a reason.
    let healthy = rig.host.call("GET", "/healthz", "").await?;
    let ready = rig.host.call("GET", "/readyz", "").await?;
    ensure!(
        healthy.status == 200 && ready.status == 503 && ready.body["state"] == "PAUSED",
        "{healthy:?} {ready:?}"
    );
    let metrics = rig.host.call("GET", "/metrics", "").await?.body;
    let metrics = metrics.as_str().unwrap_or_default();
    ensure!(metrics.contains("\ntidegate_failure{error="), "{metrics}");
    rig.destination.restart().await?;
    wait_until("the destination is found again", DEADLINE, async || {
        Ok(match rig.host.resume().await {
            Ok(()) => Look::Done(()),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    })
    .await?;
    wait_for_document(&rig, "app", "c", "late").await?;
    rig.finish().await.map(drop)
}

/// DDL persists an intent, after other writes of metadata that wait for the same writer and fail before it.
#[tokio::test]
async fn f195_an_outage_counts_once_for_writes_that_wait_for_each_other() -> Result<()> {
    const OUTAGE: Duration = Duration::from_secs(40);
    // The driver looks for a primary for 30 s: a second attempt begins within the outage.
    const PAUSED_WITHIN: Duration = Duration::from_secs(75);
    let seconds = OUTAGE.as_secs().to_string();
    let mut rig = in_step(Options {
        host_environment: vec![("TIDEGATE_OUTAGE_SECONDS".to_owned(), seconds)],
        ..Options::default()
    })
    .await?;
    rig.allow_log("the sync has stopped and can be resumed");
    rig.destination.kill()?;
    let begun = Instant::now();
    steps::run(&rig.source_db("app"), doc! { "create": "late" }).await?;
    rig.host.wait_for_state("PAUSED").await?;
    let taken = begun.elapsed();
    rig.destination.restart().await?;
    ensure!(taken < PAUSED_WITHIN, "the sync has paused after {taken:?}");
    wait_until("the destination is found again", DEADLINE, async || {
        Ok(match rig.host.resume().await {
            Ok(()) => Look::Done(()),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    })
    .await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f23_a_listing_that_hangs_holds_up_no_stop() -> Result<()> {
    let rig = in_step(fail_points()).await?;
    let hangs = doc! { "failCommands": ["listCollections"], "blockConnection": true, "blockTimeMS": 10_000 };
    fail_command(&rig.destination, "alwaysOn", hangs).await?;
    steps::run(&rig.source_db("app"), doc! { "create": "new" }).await?;
    let metadata = rig.destination_db("app");
    wait_until("the event has arrived", DEADLINE, async || {
        let waits = doc! { "aggregate": 1, "cursor": {}, "pipeline": [
            { "$currentOp": {} },
            { "$match": { "command.listCollections": 1, "appName": { "$regex": "^tidegate" } } },
        ] };
        let found = rig.destination.admin(waits).await?;
        let waiting = found.get_document("cursor")?.get_array("firstBatch")?.len();
        Ok(match waiting {
            0 => Look::NotYet("nothing hangs".to_owned()),
            _ => Look::Done(()),
        })
    })
    .await?;
    pause_at_once(&rig).await?;
    heal(&rig.destination).await?;
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    ensure!(names(&metadata).await?.contains(&"new".to_owned()));
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f29_a_batch_of_creates_holds_up_no_pause() -> Result<()> {
    let rig = in_step(Options::default()).await?;
    rig.host.pause().await?;
    let app = rig.source_db("app");
    for n in 0..CREATES {
        steps::run(&app, doc! { "create": format!("n{n}") }).await?;
    }
    rig.host.resume().await?;
    wait_until("some are created", DEADLINE, async || {
        Ok(match names(&rig.destination_db("app")).await?.len() {
            few @ 0..10 => Look::NotYet(few.to_string()),
            _ => Look::Done(()),
        })
    })
    .await?;
    pause_at_once(&rig).await?;
    let created = names(&rig.destination_db("app")).await?.len();
    ensure!(created < CREATES, "the batch was finished first");
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Index builds on the destination stand still until they are let go.
const STAND_STILL: &str = "hangAfterStartingIndexBuildUnlocked";

async fn builds(rig: &Rig, mode: &str) -> Result<()> {
    rig.destination
        .admin(doc! { "configureFailPoint": STAND_STILL, "mode": mode })
        .await?;
    Ok(())
}

async fn running_builds(rig: &Rig) -> Result<usize> {
    let look = doc! { "aggregate": 1, "cursor": {}, "pipeline": [
        { "$currentOp": { "allUsers": true } },
        { "$match": { "desc": { "$regex": "^IndexBuildsCoordinator" } } },
    ] };
    let found = rig.destination.admin(look).await?;
    Ok(found.get_document("cursor")?.get_array("firstBatch")?.len())
}

async fn has_index(rig: &Rig) -> Result<bool> {
    let listed = rig
        .destination_db("app")
        .collection::<Document>("c")
        .list_index_names()
        .await?;
    Ok(listed.contains(&"a".to_owned()))
}

/// A sync whose index build stands still on the destination.
async fn building() -> Result<Rig> {
    let rig = in_step(fail_points()).await?;
    builds(&rig, "alwaysOn").await?;
    let index = doc! { "key": { "a": 1 }, "name": "a" };
    steps::run(
        &rig.source_db("app"),
        doc! { "createIndexes": "c", "indexes": [index] },
    )
    .await?;
    wait_until("an index is built", DEADLINE, async || {
        Ok(match running_builds(&rig).await? {
            0 => Look::NotYet("no build".to_owned()),
            _ => Look::Done(()),
        })
    })
    .await?;
    Ok(rig)
}

/// The build goes on without a client that waits for it, and ends when it is released.
async fn goes_on_alone(rig: &Rig) -> Result<()> {
    ensure!(running_builds(rig).await? > 0, "the build has ended");
    builds(rig, "off").await?;
    wait_until("the index is there", DEADLINE, async || {
        Ok(match has_index(rig).await? {
            true => Look::Done(()),
            false => Look::NotYet("no index".to_owned()),
        })
    })
    .await
}

#[tokio::test]
async fn f29_an_index_build_holds_up_no_pause() -> Result<()> {
    let rig = building().await?;
    pause_at_once(&rig).await?;
    // It is joined by who comes next.
    rig.host.resume().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "behind" }]).await?;
    pause_at_once(&rig).await?;
    goes_on_alone(&rig).await?;
    rig.host.resume().await?;
    wait_for_document(&rig, "app", "c", "behind").await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f29_an_index_build_holds_up_no_end() -> Result<()> {
    let mut rig = building().await?;
    terminate_within(&mut rig, AT_ONCE * 2).await?;
    rig.host.restart().await?;
    let begun = Instant::now();
    let answer = rig.host.call("POST", "/api/v1/handover", "{}").await?;
    let taken = begun.elapsed();
    ensure!(
        answer.status == 200 && taken < AT_ONCE,
        "handover answers {} after {taken:?}",
        answer.status
    );
    rig.host.wait_for_end().await.context("after a handover")?;
    goes_on_alone(&rig).await?;
    rig.host.restart().await?;
    rig.finish().await.map(drop)
}
