//! kill -9 at random moments of every phase and at named points. After each kill the same command line continues
//! the sync by itself, and the run ends with a commit and a full comparison.
//!
//! The seed is printed; `TIDEGATE_SEED` repeats a run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Bson, DateTime, Document, doc};
use mongodb::Database;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use support::{
    Rig, Writer,
    host::{DEADLINE, can_commit, number, text},
    rig::Options,
    workload::{self, Pace, dataset, plugins},
};

const DOCUMENTS: u64 = 12_000;

/// Where a host built for tests can kill itself.
const POINTS: &[&str] = &[
    "copies_begun",
    "partition_begun",
    "partition_begun:10",
    "copy_batch_inserted",
    "copy_batch_inserted:7",
    "partition_done",
    "partition_done:10",
    "copy_done",
    "indexes_begun",
    "indexes_built",
    "events_applied",
    "events_applied:5",
    "position_persisted",
    "ddl_applied",
    "verification_boundary",
    "verification_keys",
    "verification_slice",
    "verification_slice:2",
    "verification_finished",
    "commit_started",
    "commit_unique",
    "commit_done",
];

/// When to kill: the progress that the sync has to reach before a moment is drawn.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// As soon as the start request is answered.
    Copy,
    /// Some time into the copy.
    LateCopy,
    /// Application of the events of the copy.
    CatchUp,
    /// In step with the source.
    Steady,
    Commit,
}

/// The seed of the environment, or a random seed. Printed, so that a run can be repeated.
#[expect(clippy::print_stderr, reason = "a run is repeated by its seed")]
fn seed(what: &str) -> u64 {
    let given = std::env::var("TIDEGATE_SEED").ok();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random);
    eprintln!("{what}: TIDEGATE_SEED={seed}");
    seed
}

/// A rig whose collections have many small partitions.
async fn rig() -> Result<Rig> {
    let small = ("TIDEGATE_PARTITION_BYTES".to_owned(), "32768".to_owned());
    Rig::with(Options {
        host_environment: vec![small],
        ..Options::default()
    })
    .await
}

async fn kill_in(phase: Phase, runs: u64) -> Result<()> {
    let mut rig = rig().await?;
    rig.set_scope(dataset::in_scope);
    kill(rig, &dataset::filters(), phase, runs).await
}

/// Kills syncs that are started with `options`.
async fn kill(mut rig: Rig, options: &Value, phase: Phase, runs: u64) -> Result<()> {
    let seed = seed(&format!("phase {phase:?}"));
    let mut rng = StdRng::seed_from_u64(seed);
    workload::load(rig.source.client(), DOCUMENTS, seed).await?;
    for run in 0..runs {
        if run > 0 {
            rig.begin_again(None).await?;
        }
        one_run(&mut rig, options, phase, &mut rng)
            .await
            .with_context(|| format!("phase {phase:?}, run {run}, TIDEGATE_SEED={seed}"))?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// A sync from start to commit, killed once or twice on its way.
async fn one_run(rig: &mut Rig, options: &Value, phase: Phase, rng: &mut StdRng) -> Result<()> {
    let writer = Writer::start(
        rig.source.client(),
        DOCUMENTS,
        rng.random(),
        Pace::default(),
    );
    rig.host.start(options.clone()).await?;
    reach(rig, phase).await?;
    if !matches!(phase, Phase::Commit) {
        for _ in 0..rng.random_range(1..3) {
            wait_a_moment(rng, 400).await;
            rig.host.kill()?;
            rig.host.restart().await?;
        }
        rig.host.wait_can_commit().await?;
        writer.stop().await?;
    } else {
        writer.stop().await?;
        rig.host.wait_can_commit().await?;
        rig.host.commit().await?;
        wait_a_moment(rng, 150).await;
        rig.host.kill()?;
        rig.host.restart().await?;
    }
    end(rig).await
}

async fn reach(rig: &Rig, phase: Phase) -> Result<()> {
    let what = format!("{phase:?}");
    let reached = |progress: &Value| match phase {
        Phase::Copy => true,
        Phase::LateCopy => {
            let copied = number(progress, "/collectionCopy/estimatedCopiedBytes");
            let total = number(progress, "/collectionCopy/estimatedTotalBytes");
            copied * 2 > total || text(progress, "info") == "change event application"
        }
        Phase::CatchUp | Phase::Commit => text(progress, "info") == "change event application",
        Phase::Steady => number(progress, "/totalEventsApplied") > 100,
    };
    rig.host.wait_until(&what, DEADLINE, reached).await?;
    Ok(())
}

/// A kill at a random moment: the pause is drawn, not a wait for a condition.
async fn wait_a_moment(rng: &mut StdRng, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..most_ms))).await;
}

/// Commits, if that has not been done, and compares.
async fn end(rig: &Rig) -> Result<()> {
    let state = rig.host.progress().await?;
    match text(&state, "state") {
        "COMMITTING" | "COMMITTED" => {
            rig.host.wait_for_state("COMMITTED").await?;
        }
        _ => rig.commit().await?,
    }
    rig.compare().await?;
    Ok(())
}

#[tokio::test]
async fn killed_at_the_beginning_of_the_copy() -> Result<()> {
    kill_in(Phase::Copy, 3).await
}

#[tokio::test]
async fn killed_late_in_the_copy() -> Result<()> {
    kill_in(Phase::LateCopy, 3).await
}

#[tokio::test]
async fn killed_while_catching_up() -> Result<()> {
    kill_in(Phase::CatchUp, 3).await
}

#[tokio::test]
async fn killed_in_step() -> Result<()> {
    kill_in(Phase::Steady, 2).await
}

#[tokio::test]
async fn killed_during_commit() -> Result<()> {
    kill_in(Phase::Commit, 3).await
}

/// A replay gives every document the same answer as before.
#[tokio::test]
async fn killed_with_plugins() -> Result<()> {
    for phase in [Phase::Copy, Phase::Steady] {
        let mut rig = rig().await?;
        rig.expect(plugins::expected()?);
        kill(rig, &plugins::filters(), phase, 2).await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_every_named_point() -> Result<()> {
    let seed = seed("named points");
    let mut rig = rig().await?;
    rig.set_scope(dataset::in_scope);
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    workload::load(rig.source.client(), DOCUMENTS, seed).await?;
    for point in POINTS {
        rig.begin_again(Some(point)).await?;
        killed_at(&mut rig, seed)
            .await
            .with_context(|| format!("{point}, TIDEGATE_SEED={seed}"))?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// Points of time-series collections and stored functions, and points that these pass in their own way.
const POINTS_OF_SERIES: &[&str] = &[
    "buckets_created",
    "buckets_created:3",
    "partition_done:2",
    "system_events_shown",
    "ddl_applied",
    "ddl_applied:3",
    "commit_started",
    "function_written",
    "function_written:3",
    "commit_done",
];

#[tokio::test]
async fn killed_at_every_point_of_series_and_functions() -> Result<()> {
    let mut rig = rig().await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    for point in POINTS_OF_SERIES {
        rig.source.drop_all().await?;
        rig.begin_again(Some(point)).await?;
        series_killed_at(&mut rig, point)
            .await
            .with_context(|| point.to_string())?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn series_killed_at(rig: &mut Rig, point: &str) -> Result<()> {
    let source = rig.source_db("app");
    let plain = source.collection::<Document>("plain");
    plain.insert_one(doc! { "_id": 1 }).await?;
    // A sync that begins with time-series collections does not switch.
    if point != "system_events_shown" {
        create_series(&source, "first").await?;
        create_series(&source, "dropped").await?;
    }
    store_functions(&source, 0..4).await?;
    // The answer may be lost with the host.
    let _ = rig.host.start(json!({})).await;
    let mut met = rig.host.ends_before(DEADLINE, can_commit).await?;
    for name in ["late", "later"] {
        create_series(&source, name).await?;
    }
    let coarser = doc! { "collMod": "late", "timeseries": { "granularity": "minutes" } };
    source.run_command(coarser).await?;
    source.collection::<Document>("dropped").drop().await?;
    store_functions(&source, 2..7).await?;
    if !met {
        let in_step =
            |progress: &Value| can_commit(progress) && number(progress, "/totalEventsApplied") > 3;
        met = rig.host.ends_before(DEADLINE, in_step).await?;
    }
    if !met {
        rig.host.wait_can_commit().await?;
        let _ = rig.host.commit().await;
        let committed = |progress: &Value| text(progress, "state") == "COMMITTED";
        met = rig.host.ends_before(DEADLINE, committed).await?;
    }
    ensure!(met, "the point was not met");
    rig.host.restart().await?;
    if text(&rig.host.progress().await?, "state") == "IDLE" {
        rig.host.start(json!({})).await?;
    }
    end(rig).await
}

/// A time-series collection of several buckets.
async fn create_series(database: &Database, name: &str) -> Result<()> {
    let series = doc! { "timeField": "t", "metaField": "k" };
    let create = doc! { "create": name, "timeseries": series };
    database.run_command(create).await?;
    let measurement =
        |n: i64| doc! { "t": DateTime::from_millis(n * 1_000_000), "k": n % 5, "v": n };
    let series = database.collection::<Document>(name);
    series.insert_many((0..200).map(measurement)).await?;
    Ok(())
}

async fn store_functions(database: &Database, numbers: std::ops::Range<i32>) -> Result<()> {
    let functions = database.collection::<Document>("system.js");
    let code = format!("function() {{ return {numbers:?} }}");
    for number in numbers {
        let value = Bson::JavaScriptCode(code.clone());
        functions
            .replace_one(
                doc! { "_id": number },
                doc! { "_id": number, "value": value },
            )
            .upsert(true)
            .await?;
    }
    Ok(())
}

/// Goes through a whole sync until the point is met, wherever it lies.
async fn killed_at(rig: &mut Rig, seed: u64) -> Result<()> {
    let writer = Writer::start(rig.source.client(), DOCUMENTS, seed, Pace::default());
    // The answer may be lost with the host.
    let options = verified();
    let _ = rig.host.start(options.clone()).await;
    let in_step =
        |progress: &Value| can_commit(progress) && number(progress, "/totalEventsApplied") > 300;
    let mut met = rig.host.ends_before(DEADLINE, in_step).await?;
    writer.stop().await?;
    if !met {
        rig.host.wait_can_commit().await?;
        let _ = rig.host.commit().await;
        let committed = |progress: &Value| text(progress, "state") == "COMMITTED";
        met = rig.host.ends_before(DEADLINE, committed).await?;
    }
    // The last point lies just after the state has been persisted.
    if !met {
        rig.host.wait_for_end().await?;
        met = true;
    }
    ensure!(met, "the point was not met");
    rig.host.restart().await?;
    if text(&rig.host.progress().await?, "state") == "IDLE" {
        rig.host.start(options).await?;
    }
    end(rig).await
}

/// The filters of the data set, with the verification, which has points of its own.
fn verified() -> Value {
    let mut options = dataset::filters();
    if let Some(options) = options.as_object_mut() {
        options.insert("verification".to_owned(), json!({ "enabled": true }));
    }
    options
}
