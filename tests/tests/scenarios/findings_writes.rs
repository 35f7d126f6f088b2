//! Writes that come late, twice, or are lost: findings 01 to 05 and 09 of 0.2.0. With
//! `TIDEGATE_BIN` they run on another host, such as that of 0.2.0.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    Host, ReplicaSet, Rig, host,
    host::{DEADLINE, number},
    proxy::{Command, Held, Pattern, any, commands},
    release, replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{self, delete, find, insert, run, update, wait_in_step};

pub(crate) fn proxied() -> Options {
    Options {
        proxied: true,
        ..Options::default()
    }
}

/// A sync of `app.c` that is in step.
pub(crate) async fn in_step(options: Options) -> Result<Rig> {
    let rig = Rig::with(options).await?;
    let documents = (0..100).map(|n| doc! { "_id": n, "v": 0 }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    Ok(rig)
}

fn is_ours(progress: &Value) -> bool {
    progress["lease"]["ours"] == true
}

pub(crate) async fn set(rig: &Rig, id: i32, v: i32) -> Result<()> {
    update(&rig.source_db("app"), "c", id, doc! { "$set": { "v": v } }).await
}

async fn replace(rig: &Rig, id: i32, v: i32) -> Result<()> {
    let documents = rig.source_db("app").collection::<Document>("c");
    let new = doc! { "_id": id, "v": v };
    documents.replace_one(doc! { "_id": id }, new).await?;
    Ok(())
}

/// Waits until a document on the destination is as the source's.
pub(crate) async fn wait_for_same(rig: &Rig, id: i32) -> Result<()> {
    let wanted = find(&rig.source_db("app"), "c", id).await?;
    wait_until("a document is as on the source", DEADLINE, async || {
        let found = find(&rig.destination_db("app"), "c", id).await?;
        Ok(match found == wanted {
            true => Look::Done(()),
            false => Look::NotYet(format!("{found:?}")),
        })
    })
    .await
}

/// Starts another host for the rig's clusters. Returns the first host.
async fn replace_host(rig: &mut Rig, name: &str) -> Result<Host> {
    rig.host.arguments_mut().binary = host::binary()?;
    let next = steps::second(rig, name).await?;
    let first = std::mem::replace(&mut rig.host, next);
    rig.host
        .wait_until("the sync is the next host's", DEADLINE, is_ours)
        .await?;
    Ok(first)
}

// ---- commands for a change of `app.c`, in order; earlier releases have no guard and no commit

fn guard() -> Pattern {
    any().when(|command| command.label.starts_with("update metadata lease applier"))
}

pub(crate) fn statement(name: &str) -> Pattern {
    commands(name).of("app.c")
}

fn commit() -> Pattern {
    commands("commitTransaction").when(|command| command.label.ends_with("app.c"))
}

// ---- 01: a holder that cannot be heard, while another host takes over and writes something newer

async fn delayed_past_a_takeover(pattern: Pattern) -> Result<()> {
    let mut rig = in_step(proxied()).await?;
    let held = rig.proxies()?.destination.on(pattern).hold();
    set(&rig, 1, 1).await?;
    let command = held.seen().await?;
    rig.proxies()?.destination.stall(&command.client);
    let first = replace_host(&mut rig, "next").await?;
    set(&rig, 1, 2).await?;
    wait_for_same(&rig, 1).await?;
    let answer = held.release().await?;
    rig.proxies()?.destination.mend(&command.client);
    eprintln!("the late {command} is answered {answer}");
    first
        .wait_until("the first host knows that it is late", DEADLINE, |seen| {
            !is_ours(seen)
        })
        .await?;
    rig.finish().await?;
    drop(first);
    Ok(())
}

#[tokio::test]
async fn f01_a_write_delayed_past_a_takeover_is_refused() -> Result<()> {
    delayed_past_a_takeover(statement("update")).await
}

#[tokio::test]
async fn f01_a_guard_delayed_past_a_takeover_is_refused() -> Result<()> {
    delayed_past_a_takeover(guard()).await
}

#[tokio::test]
async fn f01_a_commit_delayed_past_a_takeover_is_refused() -> Result<()> {
    delayed_past_a_takeover(commit()).await
}

// ---- 02: statements of a dead holder that still run

/// The current writes of clients with this name.
async fn writes_of(set: &ReplicaSet, client: &str) -> Result<Vec<Document>> {
    let matching =
        doc! { "appName": client, "active": true, "op": { "$in": ["insert", "update", "remove"] } };
    let pipeline = [doc! { "$currentOp": {} }, doc! { "$match": matching }];
    let mut cursor = set.db("admin").aggregate(pipeline).await?;
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.push(cursor.deserialize_current()?);
    }
    Ok(found)
}

async fn hang_in_updates(rig: &Rig, mode: &str) -> Result<()> {
    let data = doc! { "nss": "app.c", "shouldCheckForInterrupt": true };
    let hang = doc! { "configureFailPoint": "hangDuringBatchUpdate", "mode": mode, "data": data };
    rig.destination.admin(hang).await.map(drop)
}

/// The server hangs in the holder's updates, as in those of a large text index, while the holder dies.
async fn holder_dies_in_a_bulk_update(binary: Option<PathBuf>) -> Result<()> {
    let options = Options {
        destination: replica_set::Options::with_fail_points(),
        host_binary: binary,
        host_arguments: ["--leaseSeconds", "60"].map(str::to_owned).to_vec(),
        ..proxied()
    };
    let mut rig = in_step(options).await?;
    let watched = rig.proxies()?.destination.on(statement("update")).watch();
    hang_in_updates(&rig, "alwaysOn").await?;
    for id in 0..100 {
        set(&rig, id, 1).await?;
    }
    let client = watched.seen().await?.client;
    wait_until("the server is updating", DEADLINE, async || {
        let writes = writes_of(&rig.destination, &client).await?;
        Ok(match writes.is_empty() {
            false => Look::Done(()),
            true => Look::NotYet("no update".to_owned()),
        })
    })
    .await?;
    rig.host.kill()?;
    for id in 0..50 {
        set(&rig, id, 2).await?;
    }
    replace_host(&mut rig, "next").await?;
    let left = writes_of(&rig.destination, &client).await?;
    hang_in_updates(&rig, "off").await?;
    ensure!(
        left.is_empty(),
        "the next host works beside what the dead one has sent: {left:?}"
    );
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f02_statements_of_a_dead_host_end_before_the_next_one_works() -> Result<()> {
    holder_dies_in_a_bulk_update(None).await
}

#[tokio::test]
async fn f02_statements_of_a_dead_host_of_0_2_0_end_before_the_next_one_works() -> Result<()> {
    holder_dies_in_a_bulk_update(Some(release::binary("0.2.0")?)).await
}

// ---- 03: a command that is delayed, while the host repeats it and goes on

/// `change` and `newer` change the source. The first command for `change` arrives last.
async fn arrives_last(
    pattern: Pattern,
    change: impl AsyncFnOnce(&Rig) -> Result<()>,
    newer: impl AsyncFnOnce(&Rig) -> Result<()>,
) -> Result<()> {
    let rig = in_step(proxied()).await?;
    let held: Held = rig.proxies()?.destination.on(pattern).hold_and_cut();
    change(&rig).await?;
    let command = held.seen().await?;
    wait_in_step(&rig).await?;
    newer(&rig).await?;
    wait_in_step(&rig).await?;
    let answer = held.release().await?;
    eprintln!("the late {command} is answered {answer}");
    rig.finish().await.map(drop)
}

async fn add(rig: &Rig, id: i32) -> Result<()> {
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": id, "v": 3 }]).await
}

async fn remove(rig: &Rig, id: i32) -> Result<()> {
    delete(&rig.source_db("app"), "c", id).await
}

async fn update_arrives_last(pattern: Pattern) -> Result<()> {
    let newer = async |rig: &Rig| set(rig, 1, 2).await;
    arrives_last(pattern, async |rig| set(rig, 1, 1).await, newer).await
}

#[tokio::test]
async fn f03_an_update_that_comes_late_changes_nothing() -> Result<()> {
    update_arrives_last(statement("update")).await
}

#[tokio::test]
async fn f03_a_guard_that_comes_late_changes_nothing() -> Result<()> {
    update_arrives_last(guard()).await
}

#[tokio::test]
async fn f03_a_commit_that_comes_late_changes_nothing() -> Result<()> {
    update_arrives_last(commit()).await
}

#[tokio::test]
async fn f03_a_replacement_that_comes_late_changes_nothing() -> Result<()> {
    let newer = async |rig: &Rig| replace(rig, 1, 2).await;
    arrives_last(
        statement("update"),
        async |rig| replace(rig, 1, 1).await,
        newer,
    )
    .await
}

#[tokio::test]
async fn f03_an_insert_that_comes_late_changes_nothing() -> Result<()> {
    let newer = async |rig: &Rig| remove(rig, 200).await;
    arrives_last(statement("insert"), async |rig| add(rig, 200).await, newer).await
}

#[tokio::test]
async fn f03_a_delete_that_comes_late_changes_nothing() -> Result<()> {
    let newer = async |rig: &Rig| add(rig, 1).await;
    arrives_last(statement("delete"), async |rig| remove(rig, 1).await, newer).await
}

#[tokio::test]
async fn f03_a_drop_that_comes_late_changes_nothing() -> Result<()> {
    let dropped = async |rig: &Rig| {
        run(&rig.source_db("app"), doc! { "drop": "c" })
            .await
            .map(drop)
    };
    arrives_last(statement("drop"), dropped, async |rig| add(rig, 1).await).await
}

// ---- 04, 05: DDL that is rolled back, or whose reply is lost

async fn rename(rig: &Rig) -> Result<()> {
    let rename = doc! { "renameCollection": "app.c", "to": "app.d" };
    rig.source.admin(rename).await.map(drop)
}

async fn add_renamed(rig: &Rig) -> Result<()> {
    let documents = (200..207).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "d", documents).await
}

#[tokio::test]
async fn f04_ddl_that_is_rolled_back_is_repeated() -> Result<()> {
    let rig = in_step(Options {
        destination: replica_set::Options::with_fail_points().of_three(),
        ..proxied()
    })
    .await?;
    let destination = &rig.proxies()?.destination;
    let held = destination.on(commands("renameCollection").first()).hold();
    rename(&rig).await?;
    held.seen().await?;
    let isolated = rig.destination.isolate_primary().await?;
    // The answer comes when the write concern has failed: with the end of the primary.
    let (answer, replaced) = tokio::join!(held.release(), async {
        isolated.wait_for_write().await?;
        isolated.replace().await
    });
    replaced?;
    eprintln!("the rename is answered {answer:?}");
    add_renamed(&rig).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f05_a_rename_whose_reply_is_lost_goes_on() -> Result<()> {
    let rig = in_step(proxied()).await?;
    let destination = &rig.proxies()?.destination;
    let cut = destination
        .on(commands("renameCollection").first())
        .cut_after();
    rename(&rig).await?;
    cut.seen().await?;
    add_renamed(&rig).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- 09: updates that take longer than the lease

const SLOW: i32 = 400;
const WORDS: u32 = 2_000;

fn text() -> String {
    let words = (0..WORDS).map(|_| format!("{:x} ", rand::random::<u32>()));
    words.collect()
}

/// Statements on `app.slow`.
fn statements(commands: &[Command]) -> usize {
    commands.iter().map(Command::statements).sum()
}

#[tokio::test]
async fn f09_updates_that_take_longer_than_the_lease_are_not_repeated() -> Result<()> {
    let rig = in_step(Options {
        host_arguments: ["--leaseSeconds", "2"].map(str::to_owned).to_vec(),
        ..proxied()
    })
    .await?;
    let source = rig.source_db("app");
    let documents = (0..SLOW).map(|n| doc! { "_id": n, "text": "" }).collect();
    insert(&source, "slow", documents).await?;
    let index = doc! { "key": { "text": "text" }, "name": "text" };
    run(
        &source,
        doc! { "createIndexes": "slow", "indexes": [index] },
    )
    .await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    for id in 0..SLOW {
        update(&source, "slow", id, doc! { "$set": { "text": text() } }).await?;
    }
    let destination = &rig.proxies()?.destination;
    let sent = destination.on(commands("update").of("app.slow")).watch();
    rig.host.resume().await?;
    let progress = wait_in_step(&rig).await?;
    let (sent, paused) = (
        statements(&sent.commands()),
        number(&progress, "/lease/pausedMs"),
    );
    eprintln!("{sent} statements for {SLOW} updates; pausedMs {paused}");
    ensure!(
        sent <= 2 * SLOW as usize,
        "{sent} statements for {SLOW} updates"
    );
    ensure!(paused < 5_000, "pausedMs {paused}");
    rig.finish().await.map(drop)
}
