//! Interrupted and continued: nothing is done twice that may not be, nothing is
//! left out, and no state is shown before it is true.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::ClientSession;
use serde_json::{Value, json};
use support::{
    Rig,
    host::{DEADLINE, number, text},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{
    self, delete, fail_command, find, go_on_and_die, heal, insert, position, refused,
    rig_to_die_at, run, source_time, start_and_die, update, wait_for_document, wait_in_step,
};

/// Makes every write to a document of the destination wait until [`release`].
pub(crate) async fn hold(rig: &Rig, collection: &str, id: i32) -> Result<ClientSession> {
    let mut session = rig.destination.client().start_session().await?;
    session.start_transaction().await?;
    let held = rig.destination_db("app").collection::<Document>(collection);
    let reply = held
        .update_one(doc! { "_id": id }, doc! { "$set": { "held": true } })
        .session(&mut session)
        .await?;
    ensure!(reply.matched_count == 1, "nothing to hold");
    Ok(session)
}

pub(crate) async fn release(mut session: ClientSession) -> Result<()> {
    Ok(session.abort_transaction().await?)
}

fn documents(range: std::ops::Range<i32>) -> Vec<Document> {
    range.map(|n| doc! { "_id": n, "n": 0 }).collect()
}

async fn persisted_time(rig: &Rig) -> Result<bson::Timestamp> {
    let position = steps::metadata(rig, "streamPosition").await?;
    Ok(position
        .first()
        .context("no position")?
        .get_timestamp("clusterTime")?)
}

const POINTS: [&str; 6] = [
    "copy_batch_inserted",
    "copy_partition_done",
    "copy_done",
    "indexes_built",
    "events_applied",
    "position_persisted",
];

/// In whatever phase it dies, commit is refused until the initial sync is done, and the initial sync is not done
/// before all earlier events are applied.
#[tokio::test]
async fn s56_killed_in_every_phase() -> Result<()> {
    let mut rig = rig_to_die_at(POINTS[0]).await?;
    let source = rig.source_db("app");
    insert(&source, "c", documents(0..500)).await?;
    insert(&source, "d", documents(0..10)).await?;
    run(
        &source,
        doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n" }] },
    )
    .await?;
    for (round, point) in POINTS.iter().enumerate() {
        if round > 0 {
            rig.begin_again(Some(point)).await?;
        }
        one_death(&mut rig, round as i32)
            .await
            .with_context(|| (*point).to_owned())?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn one_death(rig: &mut Rig, round: i32) -> Result<()> {
    let source = rig.source_db("app");
    start_and_die(rig, json!({})).await?;
    let first = 1000 * (round + 1);
    insert(&source, "c", documents(first..first + 800)).await?;
    run(&source, doc! { "update": "c", "updates": [{ "q": {}, "u": { "$inc": { "n": 1 } }, "multi": true }] }).await?;
    delete(&source, "d", round).await?;
    rig.host.restart().await?;
    wait_until("the earliest commit", DEADLINE, async || {
        let before = rig.host.progress().await?;
        let answer = rig.host.call("POST", "/api/v1/commit", "{}").await?;
        let initial = ["collection copy", "index building"].contains(&text(&before, "info"));
        ensure!(
            before["canWrite"] == false,
            "writable before commit: {before}"
        );
        ensure!(
            answer.status == 200 || answer.error() == "CannotCommit",
            "{}",
            answer.body
        );
        ensure!(
            !initial || before["canCommit"] == false,
            "can commit in the initial sync: {before}"
        );
        Ok(if answer.status == 200 {
            Look::Done(())
        } else {
            Look::NotYet(answer.body.to_string())
        })
    })
    .await?;
    let done = rig.host.wait_for_state("COMMITTED").await?;
    ensure!(done["canWrite"] == true, "{done}");
    rig.compare().await?;
    Ok(())
}

/// A commit that waits for an event stays a commit over a crash, and is not done without it.
#[tokio::test]
async fn s56_killed_while_commit_drains() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    insert(&source, "c", documents(0..50)).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    let held = hold(&rig, "c", 7).await?;
    update(&source, "c", 7, doc! { "$set": { "n": 1 } }).await?;
    rig.host.commit().await?;
    let committing = |progress: &Value| {
        progress["state"] == "COMMITTING"
            && progress["canWrite"] == false
            && progress["canCommit"] == false
    };
    rig.host
        .wait_until("committing", DEADLINE, committing)
        .await?;
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    refused(&rig, "pause", json!({}), "InvalidStateTransition").await?;
    rig.host.restart().await?;
    ensure!(
        committing(&rig.host.progress().await?),
        "not committing after a crash"
    );
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    ensure!(find(&rig.destination_db("app"), "c", 7).await? == Some(doc! { "_id": 7, "n": 0 }));
    release(held).await?;
    rig.host.wait_for_state("COMMITTED").await?;
    ensure!(find(&rig.destination_db("app"), "c", 7).await? == Some(doc! { "_id": 7, "n": 1 }));
    rig.close().await?;
    Ok(())
}

/// The position moves on a source that is idle, or busy with namespaces out of scope.
#[tokio::test]
async fn s57_idle_and_filtered_sources() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.set_scope(|database, _| database == "app");
    let (source, other) = (rig.source_db("app"), rig.source_db("other"));
    insert(&source, "c", documents(0..10)).await?;
    insert(&other, "c", documents(0..10)).await?;
    rig.host
        .start(json!({ "includeNamespaces": [{ "database": "app" }] }))
        .await?;
    rig.host.wait_can_commit().await?;
    let begun = wait_in_step(&rig).await?;
    let events = number(&begun, "/totalEventsApplied");

    // Idle: nothing but notes, at least one of them after the last event.
    source_time(&rig).await?;
    let idle = wait_in_step(&rig).await?;
    ensure!(
        position(&idle, "safe") > position(&begun, "safe"),
        "idle: {idle}"
    );
    insert(&other, "c", documents(10..2000)).await?;
    run(&other, doc! { "create": "more" }).await?;
    run(&other, doc! { "drop": "more" }).await?;
    source_time(&rig).await?;
    let filtered = wait_in_step(&rig).await?;
    ensure!(
        position(&filtered, "safe") > position(&idle, "safe"),
        "filtered: {filtered}"
    );
    ensure!(
        number(&filtered, "/totalEventsApplied") == events,
        "events of other databases count: {filtered}"
    );
    ensure!(
        Some(persisted_time(&rig).await?) >= position(&filtered, "safe"),
        "shown as safe and not persisted"
    );

    // A crash goes on from there, and meets events in the first batch.
    let before = persisted_time(&rig).await?;
    rig.host.kill()?;
    update(&source, "c", 1, doc! { "$set": { "n": 1 } }).await?;
    insert(&other, "c", documents(2000..2100)).await?;
    rig.host.restart().await?;
    wait_until("never behind the position before", DEADLINE, async || {
        let progress = rig.host.progress().await?;
        let safe = position(&progress, "safe");
        ensure!(
            safe.is_none_or(|safe| safe >= before),
            "went back from {before:?} to {safe:?}"
        );
        let applied = number(&progress, "/totalEventsApplied") == events + 1;
        Ok(if applied {
            Look::Done(())
        } else {
            Look::NotYet(progress.to_string())
        })
    })
    .await?;
    rig.finish().await?;
    Ok(())
}

/// An applier is stuck, the others go on: the position stays before the stuck event.
#[tokio::test]
async fn s58_position_never_passes_an_unapplied_event() -> Result<()> {
    let mut rig = Rig::start().await?;
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..100)).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    let held = hold(&rig, "c", 7).await?;
    update(&source, "c", 7, doc! { "$set": { "n": 1, "z": 1, "b": 1 } }).await?;
    let stuck = source_time(&rig).await?;
    insert(&source, "c", documents(100..200)).await?;
    wait_until(
        "others go on, and two rounds of persisting",
        DEADLINE,
        async || {
            rig.source
                .admin(doc! { "appendOplogNote": 1, "data": {} })
                .await?;
            let others = destination
                .collection::<Document>("c")
                .count_documents(doc! { "_id": { "$gte": 100 } })
                .await?;
            let progress = rig.host.progress().await?;
            for which in ["safe", "reported"] {
                ensure!(
                    position(&progress, which) < Some(stuck),
                    "{which} has passed the stuck event: {progress}"
                );
            }
            let lag = number(&progress, "/lagTimeSeconds");
            Ok(if others >= 20 && lag >= 3 {
                Look::Done(())
            } else {
                Look::NotYet(format!("{others} others, lag {lag}"))
            })
        },
    )
    .await?;
    let persisted = persisted_time(&rig).await?;
    ensure!(
        persisted < stuck,
        "persisted {persisted:?}, stuck at {stuck:?}"
    );
    rig.host.kill()?;
    release(held).await?;
    ensure!(
        find(&destination, "c", 7).await? == Some(doc! { "_id": 7, "n": 0 }),
        "the update was not held"
    );
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    ensure!(
        find(&destination, "c", 7).await? == find(&source, "c", 7).await?,
        "the held update is lost"
    );
    rig.finish().await?;
    Ok(())
}

/// Repeated rounds after crashes never bring an older state of a document back.
#[tokio::test]
async fn s58_replays_never_bring_back_an_older_state() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "c",
        (0..20)
            .map(|n| doc! { "_id": n, "n": 0, "list": [] })
            .collect(),
    )
    .await?;
    start_and_die(&mut rig, json!({})).await?;
    for point in [
        "events_applied",
        "events_applied:2",
        "position_persisted",
        "position_persisted:2",
    ] {
        for n in 0..20 {
            for _ in 0..5 {
                let change = doc! { "$inc": { "n": 1, (point.replace(':', "_")): 1 }, "$push": { "list": n } };
                update(&source, "c", n, change).await?;
            }
            if n % 4 == 0 {
                delete(&source, "c", n).await?;
                insert(
                    &source,
                    "c",
                    vec![doc! { "_id": n, "n": 0, "list": [point] }],
                )
                .await?;
            }
        }
        go_on_and_die(&mut rig, point).await?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// PAUSED is shown when nothing is written any more, and not before.
#[tokio::test]
async fn s63_paused_means_paused() -> Result<()> {
    let rig = Rig::start().await?;
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..50)).await?;
    refused(&rig, "resume", json!({}), "InvalidStateTransition").await?;
    rig.host.start(json!({})).await?;
    refused(&rig, "resume", json!({}), "InvalidStateTransition").await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;

    let held = hold(&rig, "c", 7).await?;
    update(&source, "c", 7, doc! { "$set": { "n": 1 } }).await?;
    insert(&source, "c", documents(100..140)).await?;
    wait_until("the others are applied", DEADLINE, async || {
        let arrived = steps::count(&destination, "c").await?;
        Ok(if arrived > 50 {
            Look::Done(())
        } else {
            Look::NotYet(arrived.to_string())
        })
    })
    .await?;
    let looks = async {
        for _ in 0..20 {
            let progress = rig.host.progress().await?;
            ensure!(
                progress["state"] == "RUNNING",
                "shown while a write is under way: {progress}"
            );
        }
        anyhow::Ok(())
    };
    let while_pausing = async {
        looks.await?;
        // A resume that comes while the sync pauses counts, after the pause.
        let (resumed, released) = tokio::join!(rig.host.resume(), async {
            rig.host.progress().await?;
            release(held).await
        });
        resumed.and(released)
    };
    let (paused, resumed) = tokio::join!(rig.host.pause(), while_pausing);
    paused.context("pause")?;
    resumed.context("resume while pausing")?;
    rig.host.wait_for_state("RUNNING").await?;
    wait_in_step(&rig).await?;
    ensure!(find(&destination, "c", 7).await? == Some(doc! { "_id": 7, "n": 1 }));

    rig.host.pause().await?;
    let (progress, position) = (
        rig.host.progress().await?,
        steps::metadata(&rig, "streamPosition").await?,
    );
    ensure!(
        progress["state"] == "PAUSED" && progress["lagTimeSeconds"].is_null(),
        "{progress}"
    );
    refused(&rig, "pause", json!({}), "InvalidStateTransition").await?;
    insert(&source, "c", documents(200..210)).await?;
    source_time(&rig).await?;
    ensure!(
        steps::metadata(&rig, "streamPosition").await? == position,
        "a paused sync has moved"
    );
    ensure!(
        steps::count(&destination, "c").await? == 90,
        "a paused sync has written"
    );
    rig.host.resume().await?;
    rig.finish().await?;
    Ok(())
}

/// Pause and resume in the middle of the copy, and a commit that is asked for twice.
#[tokio::test]
async fn s63_pause_in_the_copy_and_commit_twice() -> Result<()> {
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..Options::default()
    };
    let mut rig = Rig::with(options).await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "c",
        (0..60)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(200_000) })
            .collect(),
    )
    .await?;
    let slow = doc! { "failCommands": ["getMore"], "namespace": "app.c", "blockConnection": true, "blockTimeMS": 500 };
    fail_command(&rig.source, "alwaysOn", slow).await?;
    rig.host.start(json!({ "verification": false })).await?;
    wait_for_document(&rig, "app", "c", 1).await?;
    rig.host.pause().await?;
    let copied = steps::count(&rig.destination_db("app"), "c").await?;
    ensure!(copied < 60, "paused after the copy");
    let partition = steps::metadata(&rig, "copyPartitions").await?;
    let partition = partition.first().context("no partition")?;
    // The document with the greatest `_id` bounds the range, and is looked up.
    let looked_up = partition.get_document("upper")?.clone();
    let looked_up = find(&rig.destination_db("app"), "c", looked_up.get_i32("_id")?).await?;
    let copied_by_range = copied - u64::from(looked_up.is_some());
    ensure!(
        partition.get_i64("documents")? == i64::try_from(copied_by_range)?,
        "the place is not persisted: {partition}"
    );
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    update(&source, "c", 1, doc! { "$set": { "z": 1 } }).await?;
    delete(&source, "c", 59).await?;
    heal(&rig.source).await?;
    // Copied documents are not copied again.
    delete(&rig.destination_db("app"), "c", 0).await?;
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    ensure!(
        find(&rig.destination_db("app"), "c", 0).await?.is_none(),
        "copied a second time"
    );
    insert(
        &rig.destination_db("app"),
        "c",
        find(&source, "c", 0).await?.into_iter().collect(),
    )
    .await?;

    rig.host.commit().await?;
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    rig.host.wait_for_state("COMMITTED").await?;
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    rig.host.restart().await?;
    let progress = rig.host.progress().await?;
    ensure!(
        progress["state"] == "COMMITTED" && progress["canWrite"] == true,
        "{progress}"
    );
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    rig.close().await?;
    Ok(())
}

/// A copy that dies goes on: ranges that are persisted as done are not copied again, and documents beyond them are
/// met a second time without harm.
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
#[tokio::test]
async fn s65_resumed_copy_meets_its_own_documents() -> Result<()> {
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..options
    };
    let mut rig = steps::rig_with_death(options, "copy_persisted").await?;
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(
        &source,
        "large",
        (0..300)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(1000) })
            .collect(),
    )
    .await?;
    insert(&source, "small", documents(0..10)).await?;
    let filler = "x".repeat(3000);
    insert(
        &source,
        "middle",
        (0..70)
            .map(|n| doc! { "_id": n, "filler": &filler })
            .collect(),
    )
    .await?;
    // The next collection is not read before the first is persisted.
    let slow = doc! { "failCommands": ["find"], "namespace": "app.middle", "blockConnection": true, "blockTimeMS": 5000 };
    fail_command(&rig.source, doc! { "times": 1 }, slow).await?;
    start_and_die(&mut rig, json!({ "verification": false })).await?;
    ensure!(
        steps::count(&destination, "large").await? == 300,
        "the largest is copied first"
    );
    ensure!(
        steps::count(&destination, "small").await? == 0,
        "nothing else is"
    );
    // It is persisted as copied: a document that is gone from it is not copied again.
    delete(&destination, "large", 5).await?;
    // Documents that an earlier attempt has copied without persisting it, and changes of them.
    insert(
        &destination,
        "middle",
        (0..30)
            .map(|n| doc! { "_id": n, "filler": &filler })
            .collect(),
    )
    .await?;
    update(&source, "middle", 3, doc! { "$set": { "z": 1, "b": 2 } }).await?;
    delete(&source, "middle", 4).await?;
    update(
        &source,
        "large",
        6,
        doc! { "$unset": { "filler": 1 }, "$set": { "z": 1 } },
    )
    .await?;
    go_on_and_die(&mut rig, "copy_batch_inserted").await?;
    go_on_and_die(&mut rig, "copy_batch_inserted:2").await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    ensure!(
        find(&destination, "large", 5).await?.is_none(),
        "a finished partition was copied again"
    );
    insert(
        &destination,
        "large",
        find(&source, "large", 5).await?.into_iter().collect(),
    )
    .await?;
    rig.finish().await?;
    Ok(())
}

/// In the middle of a partition: the copy goes on after the last persisted `_id`.
#[tokio::test]
async fn s65_resumed_behind_the_last_id() -> Result<()> {
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..Options::default()
    };
    let mut rig = Rig::with(options).await?;
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(
        &source,
        "c",
        (0..80)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(200_000) })
            .collect(),
    )
    .await?;
    let slow = doc! { "failCommands": ["getMore"], "namespace": "app.c", "blockConnection": true, "blockTimeMS": 700 };
    fail_command(&rig.source, "alwaysOn", slow).await?;
    rig.host.start(json!({ "verification": false })).await?;
    wait_until(
        "the place in the partition is persisted",
        DEADLINE,
        async || {
            let partitions = steps::metadata(&rig, "copyPartitions").await?;
            let there = partitions
                .first()
                .is_some_and(|partition| partition.contains_key("lastId"));
            Ok(if there {
                Look::Done(())
            } else {
                Look::NotYet(format!("{partitions:?}"))
            })
        },
    )
    .await?;
    rig.host.kill()?;
    heal(&rig.source).await?;
    let copied = steps::count(&destination, "c").await?;
    ensure!(copied < 80, "killed after the copy");
    delete(&destination, "c", 0).await?;
    // The last copied document goes: the place is still a place.
    let partitions = steps::metadata(&rig, "copyPartitions").await?;
    let last = partitions[0].get_document("lastId")?.get_i32("_id")?;
    delete(&source, "c", last).await?;
    update(&source, "c", last - 1, doc! { "$set": { "z": 1, "b": 1 } }).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    ensure!(
        find(&destination, "c", 0).await?.is_none(),
        "copied from the beginning again"
    );
    insert(
        &destination,
        "c",
        find(&source, "c", 0).await?.into_iter().collect(),
    )
    .await?;
    rig.finish().await?;
    Ok(())
}
