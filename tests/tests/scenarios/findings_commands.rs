//! Findings about commands: slow and silent clusters, and errors that pass. Each test is
//! named after its finding.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use futures::TryStreamExt;
use serde_json::json;
use support::{
    Rig,
    host::{DEADLINE, text},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{self, fail_command, heal, insert, wait_for_document, wait_in_step};

/// Longest time of a call that cannot be carried out while a cluster is silent.
pub(crate) const GIVES_UP: Duration = Duration::from_secs(8);

pub(crate) fn fail_points() -> Options {
    Options {
        source: replica_set::Options::with_fail_points(),
        destination: replica_set::Options::with_fail_points(),
        ..Options::default()
    }
}

/// A sync of a single collection, in step.
pub(crate) async fn in_step(options: Options) -> Result<Rig> {
    let rig = Rig::with(options).await?;
    insert(&rig.source_db("app"), "c", numbered(0..100)).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    Ok(rig)
}

fn numbered(numbers: std::ops::Range<i32>) -> Vec<Document> {
    numbers.map(|n| doc! { "_id": n, "a": n % 7 }).collect()
}

async fn wait_for_log(rig: &Rig, what: &[&str]) -> Result<()> {
    wait_until("a line of the log", DEADLINE, async || {
        let lines = rig.log.lines()?;
        let found = lines
            .iter()
            .any(|line| what.iter().all(|what| line.contains(what)));
        Ok(match found {
            true => Look::Done(()),
            false => Look::NotYet(lines.last().cloned().unwrap_or_default()),
        })
    })
    .await
}

// ---- 22, 27, 38: the source

/// The source's operations of the host that match.
async fn operations(rig: &Rig, matching: Document) -> Result<Vec<Document>> {
    let mut of_host = doc! { "appName": { "$regex": "^tidegate" } };
    of_host.extend(matching);
    let admin = rig.source.db("admin");
    let found = admin.aggregate([doc! { "$currentOp": {} }, doc! { "$match": of_host }]);
    Ok(found.await?.try_collect().await?)
}

/// Breaks the change stream, and waits until it is being opened again.
async fn break_stream(rig: &Rig) -> Result<()> {
    wait_until("the stream is opened again", DEADLINE, async || {
        let opening = doc! { "command.pipeline.$changeStream": { "$exists": true } };
        if !operations(rig, opening).await?.is_empty() {
            return Ok(Look::Done(()));
        }
        let reading = doc! { "command.getMore": { "$exists": true } };
        for operation in operations(rig, reading).await? {
            let id = operation.get("opid").cloned().context("opid")?;
            rig.source.admin(doc! { "killOp": 1, "op": id }).await?;
        }
        Ok(Look::NotYet("not broken".to_owned()))
    })
    .await
}

#[tokio::test]
async fn f22_a_stream_opens_that_takes_longer_than_a_second_to_open() -> Result<()> {
    let rig = in_step(fail_points()).await?;
    let host = operations(&rig, doc! {}).await?;
    let name = host.first().context("an operation")?.get_str("appName")?;
    // Not the test's own.
    let slow = doc! {
        "failCommands": ["aggregate"], "appName": name, "blockConnection": true, "blockTimeMS": 2_500,
    };
    fail_command(&rig.source, "alwaysOn", slow).await?;
    break_stream(&rig).await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "slow" }]).await?;
    wait_for_document(&rig, "app", "c", "slow").await?;
    heal(&rig.source).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f22_a_source_that_comes_back_is_read_on() -> Result<()> {
    let mut rig = in_step(Options::default()).await?;
    rig.source.kill()?;
    wait_for_log(
        &rig,
        &["trying again", "read the change stream", "the source"],
    )
    .await?;
    rig.source.restart().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "back" }]).await?;
    wait_for_document(&rig, "app", "c", "back").await?;
    // The lag is that of the outage until the position has passed the document.
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Opens of change streams, and other aggregates, since the server began.
async fn aggregates(rig: &Rig) -> Result<i64> {
    let status = rig.source.admin(doc! { "serverStatus": 1 }).await?;
    let commands = status.get_document("metrics")?.get_document("commands")?;
    Ok(commands.get_document("aggregate")?.get_i64("total")?)
}

#[tokio::test]
async fn f27_reads_that_fail_steadily_back_off() -> Result<()> {
    let rig = in_step(fail_points()).await?;
    let fails = doc! { "failCommands": ["getMore"], "errorCode": 189 };
    let (begun, opens, lines) = (
        Instant::now(),
        aggregates(&rig).await?,
        rig.log.lines()?.len(),
    );
    fail_command(&rig.source, "alwaysOn", fails).await?;
    // Events in the reply that opens a stream are applied.
    for n in 0..10 {
        let id = format!("failing {n}");
        insert(&rig.source_db("app"), "c", vec![doc! { "_id": &id }]).await?;
        wait_for_document(&rig, "app", "c", id).await?;
    }
    wait_until("some seconds without events", DEADLINE, async || {
        Ok(match begun.elapsed() > Duration::from_secs(10) {
            true => Look::Done(()),
            false => Look::NotYet("too early".to_owned()),
        })
    })
    .await?;
    let seconds = begun.elapsed().as_secs();
    let opens = aggregates(&rig).await? - opens;
    ensure!(
        opens < 60 + i64::try_from(seconds)?,
        "{opens} opens in {seconds} s"
    );
    let lines = rig.log.lines()?.len() - lines;
    ensure!(lines < 40, "{lines} lines of log in {seconds} s");
    heal(&rig.source).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f38_commit_while_the_source_is_silent_says_so_at_once() -> Result<()> {
    let rig = in_step(Options::default()).await?;
    rig.host.wait_can_commit().await?;
    rig.source.process()?.freeze()?;
    let begun = Instant::now();
    let answer = rig.host.call("POST", "/api/v1/commit", "{}").await?;
    let (taken, said) = (begun.elapsed(), answer.body.to_string());
    rig.source.process()?.thaw()?;
    ensure!(taken < GIVES_UP, "commit took {taken:?}");
    ensure!(
        answer.status >= 400 && said.contains("source") && !said.contains("ten minutes"),
        "commit answers {}: {said}",
        answer.status
    );
    let progress = rig.host.progress().await?;
    ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
    rig.finish().await.map(drop)
}

// ---- 24: errors that pass

/// The commands of a sync that are not writes.
const READS: [&str; 8] = [
    "aggregate",
    "find",
    "getMore",
    "hello",
    "listCollections",
    "listDatabases",
    "listIndexes",
    "ping",
];

/// Fails about every fourth of them with a code that passes, or cuts the connection.
async fn fail_reads(rig: &Rig, failure: &Document) -> Result<()> {
    for set in [&rig.source, &rig.destination] {
        let mut data = doc! { "failCommands": READS.to_vec() };
        data.extend(failure.clone());
        fail_command(set, doc! { "activationProbability": 0.25 }, data).await?;
    }
    Ok(())
}

async fn heal_both(rig: &Rig) -> Result<()> {
    for set in [&rig.source, &rig.destination] {
        wait_until("a server is healed", DEADLINE, async || {
            Ok(match heal(set).await {
                Ok(()) => Look::Done(()),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
        .await?;
    }
    Ok(())
}

/// A database of every kind of namespace that a sync lists.
async fn fill(rig: &Rig, database: &str) -> Result<()> {
    let database = rig.source_db(database);
    for n in 0..8 {
        let name = format!("c{n}");
        insert(&database, &name, numbered(0..50)).await?;
        let index = doc! { "key": { "a": 1 }, "name": "a", "unique": false };
        steps::run(
            &database,
            doc! { "createIndexes": &name, "indexes": [index] },
        )
        .await?;
    }
    steps::run(
        &database,
        doc! { "create": "v", "viewOn": "c0", "pipeline": [] },
    )
    .await?;
    Ok(())
}

async fn change_schema(rig: &Rig) -> Result<()> {
    let admin = rig.source_db("admin");
    let app = rig.source_db("app");
    for (from, to) in [("app.c0", "app.moved"), ("gone.c1", "gone.moved")] {
        steps::run(&admin, doc! { "renameCollection": from, "to": to }).await?;
    }
    steps::run(&app, doc! { "dropIndexes": "c1", "index": "a" }).await?;
    steps::run(
        &app,
        doc! { "collMod": "c2", "validator": { "a": { "$gte": 0 } } },
    )
    .await?;
    steps::run(&app, doc! { "drop": "c3" }).await?;
    steps::run(&app, doc! { "create": "late" }).await?;
    rig.source_db("gone").drop().await?;
    insert(&app, "late", numbered(0..50)).await
}

async fn passing(failure: Document) -> Result<()> {
    let mut rig = Rig::with(Options {
        kill_at: Some("copy_partition_done:3".to_owned()),
        ..fail_points()
    })
    .await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    fill(&rig, "app").await?;
    fill(&rig, "gone").await?;
    steps::start_and_die(&mut rig, json!({})).await?;
    rig.host.restart().await?;
    fail_reads(&rig, &failure).await?;
    rig.host.wait_can_commit().await?;
    heal_both(&rig).await?;
    rig.host.pause().await?;
    change_schema(&rig).await?;
    rig.host.resume().await?;
    fail_reads(&rig, &failure).await?;
    wait_for_document(&rig, "app", "late", 49)
        .await
        .or(Ok::<_, anyhow::Error>(doc! {}))?;
    rig.host.wait_can_commit().await?;
    heal_both(&rig).await?;
    wait_in_step(&rig).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    fail_reads(&rig, &failure).await?;
    rig.host.wait_for_state("COMMITTED").await?;
    heal_both(&rig).await?;
    rig.close().await.map(drop)
}

#[tokio::test]
async fn f24_error_codes_that_pass_pause_no_sync() -> Result<()> {
    passing(doc! { "errorCode": 11_602 }).await
}

#[tokio::test]
async fn f24_connections_that_are_cut_pause_no_sync() -> Result<()> {
    passing(doc! { "closeConnection": true }).await
}

#[tokio::test]
async fn f24_step_downs_under_ddl_pause_no_sync() -> Result<()> {
    let rig = in_step(Options::default()).await?;
    let app = rig.source_db("app");
    let ddl = async {
        for n in 0..80 {
            let (name, moved) = (format!("n{n}"), format!("app.m{n}"));
            steps::run(&app, doc! { "create": &name }).await?;
            insert(&app, &name, numbered(0..3)).await?;
            let index = doc! { "key": { "a": 1 }, "name": "a" };
            steps::run(&app, doc! { "createIndexes": &name, "indexes": [index] }).await?;
            // A namespace that the host has to look up before it writes.
            let other = rig.source_db(&format!("short{n}"));
            steps::run(&other, doc! { "create": "c" }).await?;
            other.drop().await?;
            let rename = doc! { "renameCollection": format!("app.{name}"), "to": moved };
            steps::run(&rig.source_db("admin"), rename).await?;
            if n % 3 == 0 {
                steps::run(&app, doc! { "drop": format!("m{n}") }).await?;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        anyhow::Ok(())
    };
    let step_downs = async {
        for _ in 0..8 {
            rig.destination.step_down().await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(ddl, step_downs)?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}
