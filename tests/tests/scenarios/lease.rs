//! Exactly one host works on a sync: standby, handover, crash, and a host that was stopped and continues too late.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::Value;
use support::{
    Host, LogCheck, ReplicaSet, Rig, Writer,
    clock::WrongClock,
    host::{DEADLINE, number, text},
    metadata::wait_for_renewal,
    rig::Options,
    wait::Look,
    wait_until,
    workload::{self, Pace, dataset},
};

use crate::steps::{self, METADATA};

const DOCUMENTS: u64 = 6_000;

async fn begun() -> Result<Rig> {
    begun_with(Options::default()).await
}

async fn begun_with(options: Options) -> Result<Rig> {
    let mut rig = Rig::with(options).await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, 1).await?;
    rig.host.start(dataset::filters()).await?;
    Ok(rig)
}

fn is_ours(progress: &Value) -> bool {
    progress.pointer("/lease/ours") == Some(&Value::Bool(true))
}

fn term(progress: &Value) -> u64 {
    number(progress, "/lease/term")
}

async fn role(host: &Host) -> Result<String> {
    let answer = host.call("GET", "/readyz", "").await?;
    ensure!(
        [200, 503].contains(&answer.status),
        "readyz answers {}",
        answer.status
    );
    Ok(text(&answer.body, "role").to_owned())
}

async fn wait_for_ours(host: &Host) -> Result<Value> {
    host.wait_until("the sync is this host's", DEADLINE, is_ours)
        .await
}

/// Everything of the destination's but the lease, which is renewed all the time.
async fn contents(destination: &ReplicaSet) -> Result<Vec<Document>> {
    let mut found = Vec::new();
    for name in destination.client().list_database_names().await? {
        if !["admin", "config", "local"].contains(&name.as_str()) {
            let hashes = steps::run(&destination.db(&name), doc! { "dbHash": 1 }).await?;
            let mut hashes = hashes.get_document("collections")?.clone();
            // Records of calls and the course of the sync follow their causes by a second; hosts give signs of life.
            for name in ["lease", "audit", "history", "hosts"] {
                hashes.remove(name);
            }
            found.push(doc! { "database": name, "collections": hashes });
        }
    }
    Ok(found)
}

#[tokio::test]
async fn s62_a_standby_takes_over_at_a_handover() -> Result<()> {
    let mut rig = begun().await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 1, Pace::default());
    let standby = steps::second(&mut rig, "standby").await?;
    let shown = standby.progress().await?;
    ensure!(!is_ours(&shown), "two hosts work: {shown:#}");
    ensure!(role(&standby).await? == "standby" && role(&rig.host).await? == "active");
    // Other calls are passed on (f232).
    let answer = standby.upload("/api/v1/plugins", vec![0]).await?;
    ensure!(
        answer.status == 409 && answer.error() == "StandbyInstance",
        "an upload answers {}: {}",
        answer.status,
        answer.body
    );
    rig.host
        .wait_until("some events are applied", DEADLINE, |progress| {
            number(progress, "/totalEventsApplied") > 100
        })
        .await?;
    let before = rig.host.progress().await?;
    let answer = rig.host.call("POST", "/api/v1/handover", "{}").await?;
    ensure!(answer.status == 200, "handover answers {}", answer.body);
    let status = rig.host.wait_for_end().await?;
    ensure!(status.success(), "the old host ended with {status}");
    let after = wait_for_ours(&standby).await?;
    ensure!(text(&after, "state") == "RUNNING" && term(&after) == term(&before) + 1);
    for counter in [
        "/totalEventsApplied",
        "/collectionCopy/estimatedCopiedBytes",
    ] {
        ensure!(
            number(&after, counter) >= number(&before, counter),
            "{counter} went back: {before:#} {after:#}"
        );
    }
    standby
        .wait_until("the pause is measured", DEADLINE, |progress| {
            progress
                .pointer("/lease/pausedMs")
                .is_some_and(Value::is_u64)
        })
        .await?;
    writer.stop().await?;
    drop(std::mem::replace(&mut rig.host, standby));
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn s62_a_stopped_and_resumed_host_writes_nothing() -> Result<()> {
    let mut rig = begun().await?;
    let standby = steps::second(&mut rig, "standby").await?;
    stopped_and_resumed(rig, standby).await
}

/// The standby's clock is two hours ahead: by it the lease is over, and the standby waits all the
/// same. Then the holder's clock goes back by two hours more. Lag and lease follow the servers' time,
/// and a holder that stood still notices that it is late.
#[tokio::test]
async fn s66_no_clock_of_a_host_counts() -> Result<()> {
    let (behind, ahead) = (WrongClock::by("-1h")?, WrongClock::by("+1h")?);
    let mut rig = begun_with(Options {
        host_environment: behind.environment(),
        ..Options::default()
    })
    .await?;
    let first = rig.host.wait_can_commit().await?;
    rig.host.arguments_mut().environment = ahead.environment();
    let standby = steps::second(&mut rig, "standby").await?;
    let apart = last_logged(&standby)? - last_logged(&rig.host)?;
    ensure!(apart > 7000, "the clocks are {apart} s apart");
    for set_to in ["-1h", "-3h"] {
        behind.set(set_to)?;
        for _ in 0..2 {
            wait_for_renewal(&rig.destination).await?;
            ensure!(role(&standby).await? == "standby", "it did not wait");
        }
        let progress = rig.host.wait_can_commit().await?;
        ensure!(is_ours(&progress) && term(&progress) == term(&first));
        let lag = number(&progress, "/lagTimeSeconds");
        ensure!(lag < 600, "after {set_to}, the lag is {lag} s");
    }
    stopped_and_resumed(rig, standby).await?;
    behind.remove();
    ahead.remove();
    Ok(())
}

/// The time of the newest line of a host's log, in seconds.
fn last_logged(host: &Host) -> Result<i64> {
    let lines = LogCheck::new(host.log_path()).lines()?;
    let line: Value = serde_json::from_str(lines.last().context("an empty log")?)?;
    let time = bson::DateTime::parse_rfc3339_str(text(&line, "timestamp"))?;
    Ok(time.timestamp_millis() / 1000)
}

async fn stopped_and_resumed(mut rig: Rig, standby: Host) -> Result<()> {
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 2, Pace::default());
    rig.host
        .wait_until("some events are applied", DEADLINE, |progress| {
            number(progress, "/totalEventsApplied") > 100
        })
        .await?;
    rig.host.process()?.freeze()?;
    wait_for_ours(&standby).await?;
    // Something is left for the stopped host to write, and nothing else writes.
    standby
        .wait_until("more events are applied", DEADLINE, |progress| {
            number(progress, "/totalEventsApplied") > 400
        })
        .await?;
    standby.pause().await?;
    let before = contents(&rig.destination).await?;
    rig.host.process()?.thaw()?;
    let late = &rig.host;
    wait_until("the old host is a standby", DEADLINE, async || {
        Ok(match role(late).await? {
            role if role == "standby" => Look::Done(()),
            role => Look::NotYet(role),
        })
    })
    .await?;
    ensure!(!is_ours(&rig.host.progress().await?));
    ensure!(
        contents(&rig.destination).await? == before,
        "the old host has written"
    );
    standby.resume().await?;
    writer.stop().await?;
    drop(std::mem::replace(&mut rig.host, standby));
    rig.finish().await.map(drop)
}

/// The lease belongs to another machine: its holder cannot be recognized as dead.
#[tokio::test]
async fn s62_a_crash_elsewhere_is_taken_over_when_the_lease_runs_out() -> Result<()> {
    let mut rig = begun().await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 3, Pace::default());
    let standby = steps::second(&mut rig, "standby").await?;
    rig.host.wait_can_commit().await?;
    let elsewhere = doc! { "$set": { "process": "elsewhere/pid:[1]/1/1" } };
    rig.destination_db(METADATA)
        .collection::<Document>("lease")
        .update_one(doc! { "_id": "lease" }, elsewhere)
        .await?;
    rig.host.kill()?;
    let killed = Instant::now();
    ensure!(!is_ours(&standby.progress().await?), "it did not wait");
    wait_for_ours(&standby).await?;
    ensure!(
        killed.elapsed() > Duration::from_secs(2),
        "the lease was taken after {:?}",
        killed.elapsed()
    );
    writer.stop().await?;
    drop(std::mem::replace(&mut rig.host, standby));
    rig.finish().await.map(drop)
}

/// A writer of metadata in an older term writes nothing, and stops at once. This host then finds that the lease is
/// still its own, and goes on in a newer term.
#[tokio::test]
async fn s58_an_older_term_writes_nothing() -> Result<()> {
    let rig = begun().await?;
    let before = rig.host.wait_can_commit().await?;
    let metadata = rig.destination_db(METADATA);
    let lease = metadata.collection::<Document>("lease");
    let newer = doc! { "$inc": { "term": 1_i64 } };
    lease.update_one(doc! { "_id": "term" }, newer).await?;
    steps::insert(&rig.source_db("app"), "late", vec![doc! { "_id": 1 }]).await?;
    rig.host
        .wait_until("a newer term", DEADLINE, |progress| {
            is_ours(progress) && term(progress) == term(&before) + 1
        })
        .await?;
    ensure!(
        rig.log.has("another host has taken it over")?,
        "it wrote on"
    );
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn two_idle_hosts_begin_one_sync() -> Result<()> {
    let mut rig = Rig::start().await?;
    workload::load(rig.source.client(), 500, 1).await?;
    rig.set_scope(dataset::in_scope);
    let other = steps::second(&mut rig, "other").await?;
    ensure!(role(&other).await? == "idle");
    rig.host.start(dataset::filters()).await?;
    let body = steps::start_body(dataset::filters()).to_string();
    let answer = other.call("POST", "/api/v1/start", &body).await?;
    ensure!(answer.status == 409, "two syncs: {}", answer.body);
    wait_until("the other host is a standby", DEADLINE, async || {
        Ok(match role(&other).await?.as_str() {
            "standby" => Look::Done(()),
            role => Look::NotYet(role.to_owned()),
        })
    })
    .await?;
    drop(other);
    rig.finish().await.map(drop)
}
