//! What a host says is what is so: findings 30, 37, 38 and 43 of 0.2.0.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    Host, Rig,
    host::{Answer, DEADLINE, text},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{self, METADATA, fail_command, heal, insert, refused};

/// What is unknown has to be shown as such within this time. 0.2.0 took 30 s and more.
const SOON: Duration = Duration::from_secs(10);

/// Longer than any call may wait for a cluster.
const CALL: Duration = Duration::from_secs(7);

/// What a host logs when its work has stopped with a reason.
const STOPPED: &str = "the sync has stopped and can be resumed";

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

async fn begun() -> Result<Rig> {
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
async fn disk_full(rig: &Rig, command: &str, collection: &str) -> Result<()> {
    let data = doc! {
        "failCommands": [command],
        "namespace": format!("{METADATA}.{collection}"),
        "errorCode": OUT_OF_DISK_SPACE,
    };
    fail_command(&rig.destination, "alwaysOn", data).await
}

/// A call, which has to be answered soon whatever the clusters do.
async fn call(host: &Host, call: &str) -> Result<Answer> {
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

fn description(answer: &Answer) -> &str {
    text(&answer.body, "errorDescription")
}

fn first_warning(progress: &Value) -> &str {
    progress["warnings"][0].as_str().unwrap_or_default()
}

fn is_paused(progress: &Value) -> bool {
    text(progress, "state") == "PAUSED" && progress["canCommit"] == false
}

async fn session(rig: &Rig) -> Result<Document> {
    let mut session = steps::metadata(rig, "session").await?;
    session.pop().context("no session")
}

/// Something new arrives, and the sync comes to its end.
async fn goes_on(rig: Rig) -> Result<()> {
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

/// The lease cannot be given back: the host stays, says so, and can go on.
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

#[tokio::test]
async fn f43_a_handover_sent_to_a_standby_is_refused() -> Result<()> {
    let mut rig = begun().await?;
    let standby = steps::second(&mut rig, "standby").await?;
    let answer = call(&standby, "handover").await?;
    ensure!(
        answer.status == 409 && answer.error() == "StandbyInstance",
        "handover answers {}: {}",
        answer.status,
        answer.body
    );
    // It goes on being one: it takes the sync over.
    rig.host.terminate().await?;
    let ours = |progress: &Value| progress["lease"]["ours"] == true;
    standby
        .wait_until("the sync is the standby's", DEADLINE, ours)
        .await?;
    drop(std::mem::replace(&mut rig.host, standby));
    goes_on(rig).await
}

/// A takeover by another release while the sync is paused has no `pausedMs`, and keeps none of a
/// later one's.
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
    // What is measured is persisted after it is shown.
    steps::wait_in_step(&rig).await?;
    let history = rig.host.progress().await?["upgrade"]["history"].clone();
    ensure!(history[0]["pausedMs"].is_null(), "{history}");
    goes_on(rig).await
}

/// Which cluster is silent, as `/progress` and `/readyz` have to say.
struct Silent {
    name: &'static str,
    field: &'static str,
}

const SOURCE: Silent = Silent {
    name: "cluster0 (the source)",
    field: "source",
};

const DESTINATION: Silent = Silent {
    name: "cluster1 (the destination)",
    field: "destination",
};

/// Progress, which has to be answered at once whatever the clusters do.
async fn progress_at_once(host: &Host) -> Result<Value> {
    let begun = Instant::now();
    let progress = host.progress().await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "progress took {:?}",
        begun.elapsed()
    );
    Ok(progress)
}

async fn shown_as_unknown(rig: &Rig, silent: &Silent) -> Result<()> {
    wait_until("the silence is shown", SOON, async || {
        let progress = progress_at_once(&rig.host).await?;
        let reason = text(&progress, "canCommitReason");
        let is_unknown = progress["canCommit"] == false
            && progress["lagTimeSeconds"].is_null()
            && progress["lag"].is_null()
            && progress[silent.field].get("pingLatencyMs").is_none();
        Ok(match is_unknown && reason.contains(silent.name) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{progress:#}")),
        })
    })
    .await?;
    let answer = rig.host.call("GET", "/readyz", "").await?;
    let reason = text(&answer.body, "reason");
    ensure!(
        answer.status == 503 && reason.contains("has not answered for"),
        "readyz answers {}: {}",
        answer.status,
        answer.body
    );
    ensure!(answer.body["state"] == "RUNNING", "{}", answer.body);
    Ok(())
}

async fn known_again(rig: Rig) -> Result<()> {
    rig.host.wait_can_commit().await?;
    let answer = rig.host.call("GET", "/readyz", "").await?;
    ensure!(answer.status == 200, "readyz answers {}", answer.body);
    goes_on(rig).await
}

#[tokio::test]
async fn f37_a_frozen_destination_is_shown_as_unknown() -> Result<()> {
    let rig = begun().await?;
    rig.destination.process()?.freeze()?;
    shown_as_unknown(&rig, &DESTINATION).await?;
    let answer = call(&rig.host, "commit").await?;
    ensure!(
        answer.error() == "CannotCommit" && description(&answer).contains(DESTINATION.name),
        "{}",
        answer.body
    );
    rig.destination.process()?.thaw()?;
    known_again(rig).await
}

#[tokio::test]
async fn f37_a_dead_source_is_shown_as_unknown() -> Result<()> {
    let mut rig = begun().await?;
    rig.source.kill()?;
    shown_as_unknown(&rig, &SOURCE).await?;
    rig.source.restart().await?;
    known_again(rig).await
}

/// A standby answers although the destination does not, and says how old what it shows is.
#[tokio::test]
async fn f37_a_standby_of_a_frozen_destination_answers() -> Result<()> {
    let mut rig = begun().await?;
    let standby = steps::second(&mut rig, "standby").await?;
    let before = standby.progress().await?;
    ensure!(text(&before, "state") == "RUNNING", "{before:#}");
    rig.destination.process()?.freeze()?;
    wait_until("the age is shown", SOON, async || {
        let progress = progress_at_once(&standby).await?;
        let warnings = progress["warnings"].to_string();
        ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
        Ok(match warnings.contains("What is shown was read") {
            true => Look::Done(()),
            false => Look::NotYet(warnings),
        })
    })
    .await?;
    for name in ["pause", "resume", "commit", "handover"] {
        let answer = call(&standby, name).await?;
        ensure!(answer.error() == "StandbyInstance", "{}", answer.body);
    }
    rig.destination.process()?.thaw()?;
    drop(standby);
    goes_on(rig).await
}

/// The source is silent: `commit` says so at once, by name, and changes nothing.
#[tokio::test]
async fn f38_a_commit_without_a_source_is_refused_at_once() -> Result<()> {
    let mut rig = begun().await?;
    let before = session(&rig).await?;
    for frozen in [true, false] {
        if frozen {
            rig.source.process()?.freeze()?;
        } else {
            rig.source.kill()?;
        }
        let answer = call(&rig.host, "commit").await?;
        ensure!(
            ["ConnectionFailed", "CannotCommit"].contains(&answer.error())
                && description(&answer).contains(SOURCE.name)
                && description(&answer).contains("Nothing was changed"),
            "{}",
            answer.body
        );
        // Known to be silent by now: no wait at all.
        shown_as_unknown(&rig, &SOURCE).await?;
        let begun = Instant::now();
        let answer = call(&rig.host, "commit").await?;
        ensure!(answer.error() == "CannotCommit", "{}", answer.body);
        ensure!(begun.elapsed() < Duration::from_secs(1));
        let progress = rig.host.progress().await?;
        ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
        ensure!(
            session(&rig).await? == before,
            "a refused commit has changed the session"
        );
        if frozen {
            rig.source.process()?.thaw()?;
        } else {
            rig.source.restart().await?;
        }
        rig.host.wait_can_commit().await?;
    }
    goes_on(rig).await
}
