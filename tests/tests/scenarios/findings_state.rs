//! A host's answers are true: findings 30 and 43 of 0.2.0.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    Host, Rig,
    host::{Answer, DEADLINE, text},
    replica_set,
    rig::Options,
};

use crate::steps::{self, METADATA, fail_command, heal, insert, refused};

/// Longer than any call may wait for a cluster.
const CALL: Duration = Duration::from_secs(7);

/// Log message of a host whose work has stopped with a reason.
pub(crate) const STOPPED: &str = "the sync has stopped and can be resumed";

/// The server's code of a full disk.
const OUT_OF_DISK_SPACE: i32 = 14031;

async fn begun_with(options: Options) -> Result<Rig> {
    let rig = Rig::with(options).await?;
    let documents = (0..20).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    Ok(rig)
}

pub(crate) async fn begun() -> Result<Rig> {
    begun_with(Options::default()).await
}

async fn begun_with_fail_points() -> Result<Rig> {
    begun_with(Options {
        destination: replica_set::Options::with_fail_points(),
        ..Options::default()
    })
    .await
}

/// Every write of this kind to a metadata collection meets a full disk.
pub(crate) async fn disk_full(rig: &Rig, command: &str, collection: &str) -> Result<()> {
    let data = doc! {
        "failCommands": [command],
        "namespace": format!("{METADATA}.{collection}"),
        "errorCode": OUT_OF_DISK_SPACE,
    };
    fail_command(&rig.destination, "alwaysOn", data).await
}

/// A call, which has to be answered soon, also while clusters are silent.
pub(crate) async fn call(host: &Host, call: &str) -> Result<Answer> {
    let begun = Instant::now();
    let answer = host.call("POST", &format!("/api/v1/{call}"), "{}").await?;
    ensure!(
        begun.elapsed() < CALL,
        "{call} took {:?}: {}",
        begun.elapsed(),
        answer.body
    );
    Ok(answer)
}

pub(crate) fn description(answer: &Answer) -> &str {
    text(&answer.body, "errorDescription")
}

pub(crate) fn first_warning(progress: &Value) -> &str {
    progress["warnings"][0].as_str().unwrap_or_default()
}

pub(crate) fn is_paused(progress: &Value) -> bool {
    text(progress, "state") == "PAUSED" && progress["canCommit"] == false
}

pub(crate) async fn session(rig: &Rig) -> Result<Document> {
    let mut session = steps::metadata(rig, "session").await?;
    session.pop().context("no session")
}

/// A new document arrives, and the sync finishes.
pub(crate) async fn goes_on(rig: Rig) -> Result<()> {
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "later" }]).await?;
    steps::wait_for_document(&rig, "app", "c", "later").await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f30_a_pause_that_the_destination_refuses_is_told_and_can_be_resumed() -> Result<()> {
    let mut rig = begun_with_fail_points().await?;
    rig.allow_log(STOPPED);
    disk_full(&rig, "update", "session").await?;
    let answer = call(&rig.host, "pause").await?;
    ensure!(answer.error() == "DestinationRefused", "{}", answer.body);
    ensure!(
        description(&answer).contains("PAUSED is not persisted"),
        "{}",
        answer.body
    );
    let progress = rig.host.progress().await?;
    ensure!(
        is_paused(&progress),
        "no work is done, and it shows {progress:#}"
    );
    ensure!(
        first_warning(&progress).contains("DestinationRefused"),
        "no reason: {progress:#}"
    );
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    refused(&rig, "pause", json!({}), "InvalidStateTransition").await?;
    // A resume that is refused changes nothing.
    refused(&rig, "resume", json!({}), "DestinationRefused").await?;
    ensure!(is_paused(&rig.host.progress().await?));
    ensure!(session(&rig).await?.get_str("state")? == "RUNNING");
    heal(&rig.destination).await?;
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    goes_on(rig).await
}

/// A commit that cannot be persisted has changed nothing.
#[tokio::test]
async fn f30_a_commit_that_the_destination_refuses_has_changed_nothing() -> Result<()> {
    let rig = begun_with_fail_points().await?;
    let before = session(&rig).await?;
    disk_full(&rig, "update", "session").await?;
    let answer = call(&rig.host, "commit").await?;
    ensure!(answer.error() == "DestinationRefused", "{}", answer.body);
    ensure!(
        description(&answer).contains("Nothing was changed"),
        "{}",
        answer.body
    );
    let progress = rig.host.progress().await?;
    ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
    ensure!(session(&rig).await? == before);
    heal(&rig.destination).await?;
    goes_on(rig).await
}

/// The last position cannot be persisted: neither `pause` nor `handover` answers success.
#[tokio::test]
async fn f43_a_position_that_is_not_persisted_is_told() -> Result<()> {
    let mut rig = begun_with_fail_points().await?;
    rig.allow_log(STOPPED);
    for name in ["pause", "handover"] {
        disk_full(&rig, "update", "streamPosition").await?;
        let answer = call(&rig.host, name).await?;
        // The work itself may meet it before the call does.
        ensure!(
            ["DestinationRefused", "InvalidStateTransition"].contains(&answer.error())
                && description(&answer).contains("DestinationRefused")
                || answer.error() == "DestinationRefused",
            "{name} answers {}: {}",
            answer.status,
            answer.body
        );
        let progress = rig.host.progress().await?;
        ensure!(is_paused(&progress), "{name}: {progress:#}");
        ensure!(progress["lease"]["ours"] == true, "{name}: {progress:#}");
        heal(&rig.destination).await?;
        rig.host.resume().await?;
        rig.host.wait_can_commit().await?;
    }
    goes_on(rig).await
}

/// The lease cannot be given back: the host stays, reports it, and can continue.
#[tokio::test]
async fn f43_a_handover_that_the_destination_refuses_is_told() -> Result<()> {
    let mut rig = begun_with_fail_points().await?;
    rig.allow_log(STOPPED);
    disk_full(&rig, "findAndModify", "lease").await?;
    let answer = call(&rig.host, "handover").await?;
    ensure!(answer.error() == "DestinationRefused", "{}", answer.body);
    let progress = rig.host.progress().await?;
    ensure!(
        is_paused(&progress) && first_warning(&progress).contains("lease is not given back"),
        "{progress:#}"
    );
    heal(&rig.destination).await?;
    rig.host.resume().await?;
    goes_on(rig).await
}

/// The standby does not exit: the host that works on the sync hands it over.
#[tokio::test]
async fn f43_a_handover_sent_to_a_standby_is_the_leaders() -> Result<()> {
    let mut rig = begun().await?;
    let standby = steps::second(&mut rig, "standby").await?;
    let answer = call(&standby, "handover").await?;
    ensure!(
        answer.status == 200,
        "handover answers {}: {}",
        answer.status,
        answer.body
    );
    ensure!(rig.host.wait_for_end().await?.success());
    let ours = |progress: &Value| progress["lease"]["ours"] == true;
    standby
        .wait_until("the sync is the standby's", DEADLINE, ours)
        .await?;
    drop(std::mem::replace(&mut rig.host, standby));
    goes_on(rig).await
}

/// A takeover by another release while the sync is paused has no `pausedMs`, and does not get the `pausedMs` of a
/// later takeover.
#[tokio::test]
async fn f43_an_upgrade_while_paused_has_no_pause_of_its_own() -> Result<()> {
    let mut rig = begun().await?;
    rig.host.pause().await?;
    rig.host.terminate().await?;
    let older = doc! { "$set": { "writtenBy": "0.0.9" } };
    rig.destination_db(METADATA)
        .collection::<Document>("session")
        .update_one(doc! {}, older)
        .await?;
    rig.host.restart().await?;
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    // The same release from here on: no upgrade.
    rig.host.terminate().await?;
    rig.host.restart().await?;
    let progress = rig
        .host
        .wait_until("the pause is measured", DEADLINE, |progress| {
            progress["lease"]["pausedMs"].is_u64()
        })
        .await?;
    let history = &progress["upgrade"]["history"];
    ensure!(
        history.as_array().map(Vec::len) == Some(1) && history[0]["fromBinary"] == "0.0.9",
        "{history}"
    );
    // A measured value is persisted after it is shown.
    steps::wait_in_step(&rig).await?;
    let history = rig.host.progress().await?["upgrade"]["history"].clone();
    ensure!(history[0]["pausedMs"].is_null(), "{history}");
    goes_on(rig).await
}
