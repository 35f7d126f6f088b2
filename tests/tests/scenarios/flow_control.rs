//! Flow control: a sync slows itself down for the secondaries of its clusters, and its load can be changed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Database;
use serde_json::{Value, json};
use support::{
    ReplicaSet, Rig,
    host::{DEADLINE, number, text},
    process::Process,
    proxy::{Then, commands},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{METADATA, insert, run, wait_in_step};

/// The bound of these syncs, in seconds.
const BOUND: u32 = 5;

/// The greatest lag that is shown at this bound: the times have seconds alone, and the secondary stands still for
/// most of a second at a time, also when the sync waits for it already. The test has the machine for itself
/// (`.config/nextest.toml`).
const GREATEST: u32 = BOUND + 3;

/// A destination of three members.
fn of_three() -> Options {
    Options {
        destination: replica_set::Options::default().of_three(),
        ..Options::default()
    }
}

/// Inserts documents of 2 KiB.
async fn fill(database: &Database, begin: i32, end: i32) -> Result<()> {
    for first in (begin..end).step_by(1_000) {
        let ids = first..(first + 1_000).min(end);
        let documents = ids.map(|id| doc! { "_id": id, "filler": "x".repeat(2_000) });
        insert(database, "c", documents.collect()).await?;
    }
    Ok(())
}

fn slowed(progress: &Value) -> bool {
    progress["throttle"].is_object()
}

/// Runs `work` while a secondary works for a quarter of the time. Returns the greatest lag, in seconds,
/// that its primary has known of.
async fn with_slow_secondary<T>(
    set: &ReplicaSet,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, u32)> {
    let secondary = set.member(set.secondary().await?)?;
    let mut greatest = 0;
    let worked = tokio::select! {
        done = work => done,
        failed = stand_still(secondary) => Err(failed),
        failed = note_lags(set, &mut greatest) => Err(failed),
    };
    secondary.thaw()?;
    Ok((worked?, greatest))
}

async fn stand_still(process: &Process) -> anyhow::Error {
    loop {
        if let Err(error) = process.freeze() {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(750)).await;
        if let Err(error) = process.thaw() {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn note_lags(set: &ReplicaSet, greatest: &mut u32) -> anyhow::Error {
    loop {
        match greatest_lag(set).await {
            Ok(lag) => *greatest = lag.max(*greatest),
            Err(error) => return error,
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn greatest_lag(set: &ReplicaSet) -> Result<u32> {
    let status = set.admin(doc! { "serverStatus": 1, "repl": 1 }).await?;
    let members = status
        .get_document("repl")?
        .get_array("replicationProgress")?;
    let applied = members.iter().map(|member| {
        let member = member.as_document().context("a member")?;
        let time = member.get_document("lastAppliedOpTime")?;
        Ok(time.get_timestamp("ts")?.time)
    });
    let applied: Vec<u32> = applied.collect::<Result<_>>()?;
    let newest = applied.iter().max().context("a member")?;
    let oldest = applied.iter().min().context("a member")?;
    Ok(newest - oldest)
}

/// Copy and change events, on a destination with a slow secondary. Without flow control its lag is greater than the
/// bound.
#[tokio::test]
async fn f66_a_slow_secondary_stays_within_the_bound() -> Result<()> {
    let rig = Rig::with(of_three()).await?;
    let source = rig.source_db("app");
    fill(&source, 0, 150_000).await?;
    let copied = async {
        let throttle = json!({ "throttle": { "maxReplicationLagSeconds": BOUND } });
        rig.host.start(throttle).await?;
        let progress = rig
            .host
            .wait_until("the sync is slowed", DEADLINE, slowed)
            .await?;
        wait_in_step(&rig).await?;
        Ok(progress)
    };
    let (progress, lag) = with_slow_secondary(&rig.destination, copied).await?;
    let throttle = &progress["throttle"];
    let reason = text(throttle, "reason");
    ensure!(
        reason.starts_with("the destination: its secondary 127.0.0.1:")
            && reason.ends_with("s behind"),
        "{throttle}"
    );
    ensure!(
        number(throttle, "/delayMs") > 0 && text(throttle, "since").contains('T'),
        "{throttle}"
    );
    ensure!(lag <= GREATEST, "a lag of {lag} s while the copy ran");
    let applied = async {
        fill(&source, 150_000, 170_000).await?;
        rig.host.wait_can_commit().await
    };
    let (_, lag) = with_slow_secondary(&rig.destination, applied).await?;
    ensure!(
        lag <= GREATEST,
        "a lag of {lag} s while events were applied"
    );
    rig.host
        .wait_until("nothing is slowed", DEADLINE, |progress| !slowed(progress))
        .await?;
    ensure!(
        rig.log.has("the sync is slowed down")?
            && rig.log.has("the sync is not slowed down any longer")?,
        "no log lines"
    );
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn f67_a_dead_secondary_does_not_slow_the_sync() -> Result<()> {
    let mut rig = Rig::with(of_three()).await?;
    let source = rig.source_db("app");
    fill(&source, 0, 2_000).await?;
    let secondary = rig.destination.secondary().await?;
    rig.destination.kill_member(secondary)?;
    rig.host
        .start(json!({ "throttle": { "maxReplicationLagSeconds": BOUND } }))
        .await?;
    rig.host.wait_can_commit().await?;
    // Longer than the bound, with writes all the time.
    for round in 0..20 {
        fill(&source, 2_000 + round * 100, 2_100 + round * 100).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // A server notices within ten seconds that a member is gone.
    let progress = rig
        .host
        .wait_until("nothing is slowed", DEADLINE, |progress| !slowed(progress))
        .await?;
    ensure!(progress["warnings"].is_array(), "{progress}");
    rig.finish().await?;
    Ok(())
}

/// A member with `secondaryDelaySecs`.
#[tokio::test]
async fn f67_a_secondary_that_is_behind_on_purpose_does_not_slow_the_sync() -> Result<()> {
    let rig = Rig::with(of_three()).await?;
    let destination = &rig.destination;
    let secondary = destination.secondary().await?;
    let mut configuration = destination.admin(doc! { "replSetGetConfig": 1 }).await?;
    let configuration = configuration.get_document_mut("config")?;
    let version = configuration.get_i32("version")? + 1;
    configuration.insert("version", version);
    let member = configuration.get_array_mut("members")?.get_mut(secondary);
    let member = member.and_then(|member| member.as_document_mut());
    let late = doc! { "priority": 0, "hidden": true, "secondaryDelaySecs": 60 };
    member.context("a member")?.extend(late);
    destination
        .admin(doc! { "replSetReconfig": configuration.clone() })
        .await?;
    let source = rig.source_db("app");
    fill(&source, 0, 2_000).await?;
    rig.host
        .start(json!({ "throttle": { "maxReplicationLagSeconds": BOUND } }))
        .await?;
    rig.host.wait_can_commit().await?;
    for round in 0..20 {
        fill(&source, 2_000 + round * 100, 2_100 + round * 100).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let lag = greatest_lag(destination).await?;
    ensure!(lag > BOUND, "the member is {lag} s behind");
    ensure!(!rig.log.has("the sync is slowed down")?, "slowed");
    rig.finish().await?;
    Ok(())
}

/// The number of partitions that are being copied.
async fn in_work(rig: &Rig) -> Result<u64> {
    let partitions = rig.destination_db(METADATA);
    let partitions = partitions.collection::<Document>("copyPartitions");
    let begun = doc! { "done": false, "begun": true };
    Ok(partitions.count_documents(begun).await?)
}

async fn set_load_level(rig: &Rig, level: u8) -> Result<()> {
    let body = json!({ "level": level }).to_string();
    let answer = rig.host.call("POST", "/api/v1/loadLevel", &body).await?;
    ensure!(answer.body == json!({ "success": true }), "{answer:?}");
    Ok(())
}

async fn wait_for_workers(rig: &Rig, what: &str, expected: impl Fn(u64) -> bool) -> Result<()> {
    wait_until(what, DEADLINE, async || {
        let partitions = in_work(rig).await?;
        Ok(match expected(partitions) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{partitions} partitions in work")),
        })
    })
    .await
}

#[tokio::test]
async fn f68_the_load_level_changes_while_a_sync_runs() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    })
    .await?;
    let source = rig.source_db("app");
    fill(&source, 0, 80_000).await?;
    let refused = rig
        .host
        .call("POST", "/api/v1/loadLevel", r#"{ "level": 2 }"#)
        .await?;
    ensure!(
        refused.error() == "InvalidStateTransition" && refused.status == 409,
        "{refused:?}"
    );
    // Slow enough to look at the workers.
    let inserts = rig
        .proxies()?
        .destination
        .on(commands("insert").of("app.c"))
        .before(|_| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Then::GoOn
        });
    rig.host.start(json!({})).await?;
    wait_for_workers(&rig, "one worker", |workers| workers == 1).await?;
    set_load_level(&rig, 4).await?;
    wait_for_workers(&rig, "more workers", |workers| workers > 2).await?;
    set_load_level(&rig, 1).await?;
    wait_for_workers(&rig, "one worker again", |workers| workers == 1).await?;
    set_load_level(&rig, 4).await?;
    rig.proxies()?.destination.remove(&inserts);
    rig.host.wait_can_commit().await?;
    // The level is that of the sync, also on the next host.
    rig.host.kill()?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    let session = run(
        &rig.destination_db(METADATA),
        doc! { "find": "session", "limit": 1 },
    )
    .await?;
    ensure!(
        session.to_string().contains("\"loadLevel\": 4"),
        "{session}"
    );
    for (level, appliers) in [(2, 2), (4, 8), (1, 1)] {
        set_load_level(&rig, level).await?;
        let begin = 80_000 + i32::from(level) * 2_000;
        fill(&source, begin, begin + 2_000).await?;
        wait_in_step(&rig).await?;
        let started = format!("\"appliers\":{appliers},");
        ensure!(rig.log.has(&started)?, "no line with {started}");
    }
    rig.host.wait_can_commit().await?;
    rig.host.pause().await?;
    set_load_level(&rig, 3).await?;
    rig.host.resume().await?;
    rig.finish().await?;
    Ok(())
}
