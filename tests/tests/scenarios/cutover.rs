//! The cutover: write blocks, a commit that undoes itself, and writes that come too late.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Client;
use serde_json::{Value, json};
use support::{
    ReplicaSet, Rig, guide,
    host::{DEADLINE, number, text},
    proxy::commands,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{self, go_on_and_die, insert, metadata, run, update, wait_in_step};

/// Waits until user writes of the cluster are blocked, or are not.
async fn wait_for_block(set: &ReplicaSet, blocked: bool) -> Result<()> {
    wait_until("the block", DEADLINE, async || {
        Ok(match is_blocked(set).await? == blocked {
            true => Look::Done(()),
            false => Look::NotYet(format!("the block is {}", !blocked)),
        })
    })
    .await
}

pub(crate) async fn is_blocked(set: &ReplicaSet) -> Result<bool> {
    let status = set.admin(doc! { "serverStatus": 1, "repl": 1 }).await?;
    let mode = status.get_document("repl")?.get("userWriteBlockMode");
    Ok(mode.and_then(bson::Bson::as_i32) == Some(2))
}

pub(crate) async fn lift(set: &ReplicaSet) -> Result<()> {
    set.admin(doc! { "setUserWriteBlockMode": 1, "global": false })
        .await
        .map(drop)
}

/// Two clusters with users, and a host whose users have the documented roles.
pub(crate) async fn secure(more: Options) -> Result<Rig> {
    let mut rig = Rig::with(Options {
        source: Options::secure().source,
        destination: Options::secure().destination,
        ..more
    })
    .await?;
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = guide::user(&rig.source, "tidegateSource").await?;
    arguments.cluster1 = guide::user(&rig.destination, "tidegateDestination").await?;
    Ok(rig)
}

/// A client of a user that may read and write, as applications do.
async fn application(set: &ReplicaSet) -> Result<Client> {
    let roles = ["readWriteAnyDatabase"];
    set.admin(doc! { "createUser": "app", "pwd": "pw", "roles": &roles[..] })
        .await?;
    support::replica_set::client(&set.uri_of("app", "pw")).await
}

/// Whether a write of the client is refused by a block.
async fn is_refused(client: &Client) -> Result<bool> {
    let probe = client.database("app").collection::<Document>("probe");
    match probe.insert_one(doc! { "x": 1 }).await {
        Ok(_) => Ok(false),
        Err(error) if error.to_string().contains("User writes blocked") => Ok(true),
        Err(error) => Err(error.into()),
    }
}

async fn call_commit(rig: &Rig, body: Value) -> Result<support::host::Answer> {
    let path = "/api/v1/commit";
    rig.host.call("POST", path, &body.to_string()).await
}

pub(crate) async fn fill(rig: &Rig) -> Result<()> {
    let source = rig.source_db("app");
    let documents = (0..200).map(|n| doc! { "_id": n, "n": n, "at": bson::DateTime::now() });
    insert(&source, "c", documents.collect()).await?;
    let unique = doc! { "key": { "n": 1 }, "name": "n", "unique": true };
    let expiring = doc! { "key": { "at": 1 }, "name": "at", "expireAfterSeconds": 86_400 };
    let hidden = doc! { "key": { "h": 1 }, "name": "h", "hidden": true };
    run(
        &source,
        doc! { "createIndexes": "c", "indexes": [unique, expiring, hidden] },
    )
    .await?;
    run(
        &source,
        doc! { "create": "capped", "capped": true, "size": 4096, "max": 10 },
    )
    .await?;
    // The server sets `max` by `collMod`, and never removes it.
    run(
        &source,
        doc! { "create": "capped_by_size", "capped": true, "size": 4096 },
    )
    .await?;
    run(
        &source,
        doc! { "create": "view", "viewOn": "c", "pipeline": [] },
    )
    .await?;
    Ok(())
}

fn has_warning(progress: &Value, about: &str) -> bool {
    let warnings = progress["warnings"].as_array();
    warnings
        .into_iter()
        .flatten()
        .any(|warning| warning.to_string().contains(about))
}

async fn wait_for_warning(rig: &Rig, about: &str) -> Result<Value> {
    rig.host
        .wait_until(about, DEADLINE, |progress| has_warning(progress, about))
        .await
}

/// The document of the session.
async fn session(rig: &Rig) -> Result<Document> {
    let found = metadata(rig, "session").await?;
    found.into_iter().next().context("a session")
}

fn both() -> Value {
    json!({ "enableUserWriteBlocking": "sourceAndDestination" })
}

// ---- blocks under access control

#[tokio::test(flavor = "multi_thread")]
async fn s69_the_destination_is_blocked_to_the_end_and_the_source_from_commit_on() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.host.restart().await?;
    fill(&rig).await?;
    let (old, new) = (
        application(&rig.source).await?,
        application(&rig.destination).await?,
    );
    rig.host.start(both()).await?;
    ensure!(
        is_blocked(&rig.destination).await?,
        "blocked before the copy"
    );
    ensure!(is_refused(&new).await?);
    rig.host.wait_can_commit().await?;
    ensure!(!is_refused(&old).await?, "the source is in use");
    rig.host.pause().await?;
    ensure!(is_blocked(&rig.destination).await?, "blocked in a pause");
    rig.host.resume().await?;
    // Somebody lifts the block: it comes back.
    lift(&rig.destination).await?;
    wait_for_block(&rig.destination, true).await?;
    wait_in_step(&rig).await?;
    rig.commit().await?;
    ensure!(is_refused(&old).await?, "the source is closed");
    ensure!(!is_refused(&new).await?, "the destination is open");
    let progress = rig.host.progress().await?;
    ensure!(progress["canWrite"] == true && number(&progress, "/blockedMs") > 0);
    ensure!(progress["writeBlocking"]["source"]["blocked"] == true);
    for set in [&rig.source, &rig.destination] {
        lift(set).await?;
        set.db("app").collection::<Document>("probe").drop().await?;
    }
    rig.close().await?;
    Ok(())
}

/// The points at which a host can die with a block.
const POINTS: [&str; 12] = [
    "block_wanted",
    "block_set",
    "source_blocked",
    "commit_time_taken",
    "commit_drained",
    "commit_settled",
    "commit_started",
    "commit_unique",
    "commit_done",
    "commit_decided",
    "destination_open",
    "block_lifted",
];

#[tokio::test(flavor = "multi_thread")]
async fn s69_a_kill_at_each_step_of_a_commit_leaves_no_block_behind() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    rig.host.restart().await?;
    fill(&rig).await?;
    for (at, point) in POINTS.into_iter().enumerate() {
        rig.host.start(both()).await?;
        rig.host.wait_can_commit().await?;
        update(
            &rig.source_db("app"),
            "c",
            1,
            doc! { "$set": { "k": at as i32 } },
        )
        .await?;
        rig.host.kill()?;
        // The destination's block is there already, so the next point of its kind is the source's.
        rig.host.restart_to_be_killed(Some(point)).await?;
        rig.host.wait_can_commit().await?;
        // The answer may be lost with the host.
        let _ = rig.host.commit().await;
        rig.host.wait_for_end().await.context(point)?;
        rig.host.restart().await?;
        rig.host.wait_for_state("COMMITTED").await.context(point)?;
        ensure!(
            is_blocked(&rig.source).await?,
            "{point}: the source is closed"
        );
        ensure!(
            !is_blocked(&rig.destination).await?,
            "{point}: the destination is open"
        );
        rig.compare().await.context(point)?;
        lift(&rig.source).await?;
        rig.begin_again(None).await?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// A standby goes on with the commit of a host that has died in it, and leaves no block behind.
#[tokio::test(flavor = "multi_thread")]
async fn f133_a_standby_takes_over_in_each_step_of_a_commit() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    rig.host.restart().await?;
    fill(&rig).await?;
    for point in [
        "source_blocked",
        "commit_settled",
        "commit_done",
        "commit_decided",
    ] {
        rig.host.start(both()).await?;
        rig.host.wait_can_commit().await?;
        rig.host.kill()?;
        rig.host.restart_to_be_killed(Some(point)).await?;
        rig.host.wait_can_commit().await?;
        let standby = steps::second(&mut rig, "standby").await?;
        // The answer may be lost with the host.
        let _ = rig.host.commit().await;
        rig.host.wait_for_end().await.context(point)?;
        standby.wait_for_state("COMMITTED").await.context(point)?;
        ensure!(
            is_blocked(&rig.source).await? && !is_blocked(&rig.destination).await?,
            "{point}: the source is closed, and the destination open"
        );
        rig.compare().await.context(point)?;
        drop(standby);
        lift(&rig.source).await?;
        rig.begin_again(None).await?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// An attempt that is held on its way arrives when the commit has been undone.
#[tokio::test(flavor = "multi_thread")]
async fn s69_a_late_block_is_lifted_again() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    rig.allow_log("the commit is undone");
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    let set = || commands("setUserWriteBlockMode");
    let late = rig.proxies()?.source.on(set().first()).hold_and_cut();
    // Later attempts never reach the server, so that the commit cannot be done.
    let lost = rig.proxies()?.source.on(set()).cut_before();
    let answer = call_commit(&rig, json!({ "maxBlockSeconds": 2 })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    late.seen().await?;
    wait_for_warning(&rig, "CommitTimedOut").await?;
    rig.host.wait_for_state("RUNNING").await?;
    rig.proxies()?.source.remove(&lost);
    ensure!(!is_blocked(&rig.source).await?, "nothing has arrived yet");
    // The next host looks for it, too.
    rig.host.kill()?;
    rig.host.restart().await?;
    late.release().await?;
    wait_for_block(&rig.source, false).await?;
    update(
        &rig.source_db("app"),
        "c",
        1,
        doc! { "$set": { "after": true } },
    )
    .await?;
    rig.finish().await?;
    Ok(())
}

/// A transaction that an application leaves open keeps the server from blocking. It is named, and readers are not
/// stopped for long.
#[tokio::test(flavor = "multi_thread")]
async fn f120_an_open_transaction_is_named_and_a_commit_undoes_itself() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("the commit is undone");
    rig.allow_log("write block");
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    let mut open = rig.source.client().start_session().await?;
    open.start_transaction().await?;
    let collection = rig.source_db("app").collection::<Document>("c");
    collection
        .insert_one(doc! { "_id": 1_000, "n": 1_000 })
        .session(&mut open)
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = call_commit(&rig, json!({ "maxBlockSeconds": 4 })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let progress = wait_for_warning(&rig, "a transaction of client").await?;
    ensure!(text(&progress, "info") == "blocking writes on the source");
    let begun = std::time::Instant::now();
    run(&rig.source_db("app"), doc! { "find": "c", "limit": 1 }).await?;
    ensure!(begun.elapsed() < Duration::from_secs(2), "readers go on");
    wait_for_warning(&rig, "CommitTimedOut").await?;
    rig.host.wait_for_state("RUNNING").await?;
    open.commit_transaction().await?;
    update(
        &rig.source_db("app"),
        "c",
        1,
        doc! { "$set": { "after": true } },
    )
    .await?;
    rig.host.wait_can_commit().await?;
    let answer = call_commit(&rig, json!({ "maxBlockSeconds": 60 })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let progress = rig.host.wait_for_state("COMMITTED").await?;
    ensure!(!has_warning(&progress, "CommitTimedOut"));
    rig.close().await?;
    Ok(())
}

/// What the restore has given back is relaxed again: documents that violate a unique index for a while are taken.
#[tokio::test(flavor = "multi_thread")]
async fn f121_a_commit_is_undone_in_its_restore() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    rig.allow_log("the commit is undone");
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    // The last step of a collection's restore.
    let capped = commands("collMod").when(|command| {
        command
            .document()
            .is_ok_and(|document| document.contains_key("cappedSize"))
    });
    let held = rig.proxies()?.destination.on(capped.first()).hold();
    let answer = call_commit(&rig, json!({ "maxBlockSeconds": 3 })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    held.seen().await?;
    wait_for_warning(&rig, "CommitTimedOut").await?;
    rig.host.wait_for_state("RUNNING").await?;
    wait_for_block(&rig.source, false).await?;
    let source = rig.source_db("app");
    // Values move from one document to the next: in another order they are duplicates.
    for n in (0..199).rev() {
        let last = n + 1;
        update(&source, "c", last, doc! { "$set": { "n": 10_000 + last } }).await?;
        update(&source, "c", n, doc! { "$set": { "n": 20_000 + n } }).await?;
        update(&source, "c", last, doc! { "$set": { "n": 20_001 + last } }).await?;
    }
    let documents = (0..50).map(|n| doc! { "_id": n });
    insert(&source, "capped", documents.collect()).await?;
    wait_in_step(&rig).await?;
    ensure!(session(&rig).await?.get("relaxAgain").is_none());
    rig.finish().await?;
    Ok(())
}

/// The destination dies while applications wait: the source is opened all the same.
#[tokio::test(flavor = "multi_thread")]
async fn f122_a_silent_destination_keeps_no_block_on_the_source() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    for text in [
        "the commit is undone",
        "not undone",
        "stopped",
        "CommitTimedOut",
    ] {
        rig.allow_log(text);
    }
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    let capped = commands("collMod").when(|command| {
        command
            .document()
            .is_ok_and(|document| document.contains_key("cappedSize"))
    });
    let held = rig.proxies()?.destination.on(capped.first()).hold();
    let answer = call_commit(&rig, json!({ "maxBlockSeconds": 4 })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    held.seen().await?;
    rig.destination.process()?.freeze()?;
    wait_for_block(&rig.source, false).await?;
    update(
        &rig.source_db("app"),
        "c",
        3,
        doc! { "$set": { "meanwhile": true } },
    )
    .await?;
    rig.destination.process()?.thaw()?;
    rig.host.wait_for_state("RUNNING").await?;
    wait_for_warning(&rig, "CommitTimedOut").await?;
    rig.finish().await?;
    Ok(())
}

// ---- what cannot be blocked

#[tokio::test(flavor = "multi_thread")]
async fn f123_a_block_that_cannot_be_set_is_told() -> Result<()> {
    let rig = Rig::start().await?;
    fill(&rig).await?;
    rig.host.start(json!({})).await?;
    let progress = wait_for_warning(&rig, "it runs without access control").await?;
    ensure!(!is_blocked(&rig.destination).await?);
    let deferred = progress["featureSet"]["deferredFeatures"].to_string();
    ensure!(deferred.contains("writeBlocking"), "{deferred}");
    rig.finish().await?;

    let mut rig = secure(Options::default()).await?;
    rig.host.restart().await?;
    fill(&rig).await?;
    let block = doc! { "resource": { "cluster": true }, "actions": ["bypassWriteBlockingMode"] };
    let revoke = doc! { "revokePrivilegesFromRole": "tidegateDestination", "privileges": [block] };
    rig.destination.admin(revoke).await?;
    let asked = json!({ "source": "cluster0", "destination": "cluster1", "enableUserWriteBlocking": "destinationOnly" });
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &asked.to_string())
        .await?;
    ensure!(answer.error() == "MissingPrivileges", "{answer:?}");
    rig.destination
        .admin(doc! { "setUserWriteBlockMode": 1, "global": true })
        .await?;
    let plain = json!({ "source": "cluster0", "destination": "cluster1" });
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &plain.to_string())
        .await?;
    ensure!(answer.error() == "WritesBlocked", "{answer:?}");
    lift(&rig.destination).await?;
    rig.host.start(json!({})).await?;
    let progress = wait_for_warning(&rig, "its user lacks a privilege").await?;
    let deferred = progress["featureSet"]["deferredFeatures"].to_string();
    ensure!(deferred.contains("bypassWriteBlockingMode"), "{deferred}");
    rig.finish().await?;
    Ok(())
}

/// A block of somebody else is named, and stays.
#[tokio::test(flavor = "multi_thread")]
async fn f124_a_block_of_others_is_named_and_stays() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.host.restart().await?;
    fill(&rig).await?;
    rig.destination
        .admin(doc! { "setUserWriteBlockMode": 1, "global": true })
        .await?;
    rig.host.start(json!({})).await?;
    wait_for_warning(&rig, "were blocked before the sync began").await?;
    rig.commit().await?;
    ensure!(
        is_blocked(&rig.destination).await?,
        "the block of others stays"
    );
    rig.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f125_a_commit_names_its_sync() -> Result<()> {
    let rig = Rig::start().await?;
    fill(&rig).await?;
    rig.host.start(json!({})).await?;
    let progress = rig.host.wait_can_commit().await?;
    let answer = call_commit(&rig, json!({ "sync": "another" })).await?;
    ensure!(answer.error() == "SyncMismatch", "{answer:?}");
    ensure!(text(&rig.host.progress().await?, "state") == "RUNNING");
    let id = text(&progress, "syncID").to_owned();
    let answer = call_commit(&rig, json!({ "sync": id })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    rig.host.wait_for_state("COMMITTED").await?;
    rig.close().await?;
    Ok(())
}

// ---- writes that come too late

#[tokio::test(flavor = "multi_thread")]
async fn s68_writes_after_the_commit_time_are_named() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    fill(&rig).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let capped = commands("collMod").when(|command| {
        command
            .document()
            .is_ok_and(|document| document.contains_key("cappedSize"))
    });
    let held = rig.proxies()?.destination.on(capped.first()).hold();
    rig.host.commit().await?;
    held.seen().await?;
    insert(
        &rig.source_db("app"),
        "late",
        vec![doc! { "_id": 1 }, doc! { "_id": 2 }],
    )
    .await?;
    held.release().await?;
    let progress = rig.host.wait_for_state("COMMITTED").await?;
    ensure!(has_warning(&progress, "app.late"), "{progress:#}");
    rig.set_scope(|_, collection| collection != "late");
    rig.close().await?;
    Ok(())
}

/// With a block, a late write is the sign of a hole in it: the commit is undone, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn s68_a_write_past_the_block_undoes_the_commit() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    for text in ["the commit is undone", "SourceWrittenDuringCommit"] {
        rig.allow_log(text);
    }
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    let capped = commands("collMod").when(|command| {
        command
            .document()
            .is_ok_and(|document| document.contains_key("cappedSize"))
    });
    let held = rig.proxies()?.destination.on(capped.first()).hold();
    rig.host.commit().await?;
    held.seen().await?;
    lift(&rig.source).await?;
    update(
        &rig.source_db("app"),
        "c",
        5,
        doc! { "$set": { "past": true } },
    )
    .await?;
    held.release().await?;
    wait_for_warning(&rig, "SourceWrittenDuringCommit").await?;
    rig.host.wait_for_state("RUNNING").await?;
    wait_for_block(&rig.source, false).await?;
    rig.finish().await?;
    Ok(())
}

/// A host that dies in the undo of a restore goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn f126_a_kill_in_the_undo_of_a_commit() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        kill_at: Some("relaxed_again".to_owned()),
        ..Options::default()
    })
    .await?;
    for text in ["the commit is undone", "killed by TIDEGATE_KILL_AT"] {
        rig.allow_log(text);
    }
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    let capped = commands("collMod").when(|command| {
        command
            .document()
            .is_ok_and(|document| document.contains_key("cappedSize"))
    });
    let held = rig.proxies()?.destination.on(capped.first()).hold();
    let answer = call_commit(&rig, json!({ "maxBlockSeconds": 3 })).await?;
    ensure!(answer.status == 200, "{answer:?}");
    held.seen().await?;
    rig.host.wait_for_end().await?;
    go_on_and_die(&mut rig, "relaxed_again:2").await?;
    rig.host.restart().await?;
    wait_for_block(&rig.source, false).await?;
    update(
        &rig.source_db("app"),
        "c",
        1,
        doc! { "$set": { "after": true } },
    )
    .await?;
    rig.finish().await?;
    Ok(())
}

/// A new primary of either cluster knows the block, and the commit goes on.
#[tokio::test(flavor = "multi_thread")]
async fn f132_step_downs_in_a_commit_keep_the_block() -> Result<()> {
    let rig = Rig::with(Options {
        proxied: true,
        source: support::replica_set::Options::default().of_three(),
        destination: support::replica_set::Options::default().of_three(),
        ..Options::default()
    })
    .await?;
    fill(&rig).await?;
    rig.host.start(both()).await?;
    rig.host.wait_can_commit().await?;
    let capped = commands("collMod").when(|command| {
        command
            .document()
            .is_ok_and(|document| document.contains_key("cappedSize"))
    });
    let held = rig.proxies()?.destination.on(capped.first()).hold();
    rig.host.commit().await?;
    held.seen().await?;
    rig.source.step_down().await?;
    ensure!(
        is_blocked(&rig.source).await?,
        "the new primary has the block"
    );
    rig.destination.step_down().await?;
    // The old primary refuses it, or its connection is gone.
    let _ = held.release().await;
    rig.host.wait_for_state("COMMITTED").await?;
    ensure!(is_blocked(&rig.source).await?);
    rig.close().await?;
    Ok(())
}
