//! A position that the source's oplog no longer holds (scenario 59): the sync takes a new one, brings the
//! destination's catalog to the source's, and compares.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail, ensure};
use bson::{Bson, Document, doc};
use document_filter::DocumentFilter;
use mongodb::Database;
use serde_json::{Value, json};
use support::{
    Rig,
    chain::Chain,
    host::{DEADLINE, number, text},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::{
    copy_states::{hold_builds, wait_for_build},
    plugins::guests::{FAULTY, upload_guest},
    resume::{hold, release},
    steps::{
        self, count, delete, fail_command, find, go_on_and_die, heal, insert, metadata, names,
        rig_with_death, run, source_time, start_and_die, update, wait_in_step,
    },
};

/// Logged once for each resync.
const LOST: &str = "the position is lost";

/// A rig whose source has an oplog of a megabyte, which is cut at each checkpoint.
pub(crate) fn short_oplog() -> Options {
    let source = replica_set::Options::with_fail_points();
    Options {
        source: source
            .argument("--oplogSize")
            .argument("1")
            .argument("--syncdelay")
            .argument("1"),
        ..Options::default()
    }
}

async fn rig() -> Result<Rig> {
    let mut rig = Rig::with(short_oplog()).await?;
    rig.allow_log(LOST);
    Ok(rig)
}

/// Fills the source's oplog until it holds nothing from before this call.
pub(crate) async fn roll_over(rig: &Rig) -> Result<()> {
    let until = source_time(rig).await?;
    let note = "x".repeat(1 << 19);
    wait_until("the oplog has rolled over", DEADLINE, async || {
        rig.source
            .admin(doc! { "appendOplogNote": 1, "data": { "note": &note } })
            .await?;
        let oplog = rig.source_db("local").collection::<Document>("oplog.rs");
        let first = oplog.find_one(doc! {}).sort(doc! { "$natural": 1 }).await?;
        let first = first.context("an empty oplog")?.get_timestamp("ts")?;
        Ok(if first > until {
            Look::Done(())
        } else {
            Look::NotYet(format!("it begins at {first}, {until} is to go"))
        })
    })
    .await
}

pub(crate) fn documents(range: std::ops::Range<i32>) -> Vec<Document> {
    let filler = "y".repeat(100);
    range
        .map(|id| doc! { "_id": id, "n": id, "filler": &filler })
        .collect()
}

/// Documents for [`change_documents`].
pub(crate) async fn load(rig: &Rig) -> Result<Database> {
    let app = rig.source_db("app");
    insert(&app, "c", documents(0..3_000)).await?;
    Ok(app)
}

/// Starts the sync, and waits until everything is copied and applied.
async fn start(rig: &Rig, options: Value) -> Result<()> {
    rig.host.start(options).await?;
    wait_in_step(rig).await?;
    rig.host.wait_can_commit().await.map(drop)
}

async fn rename(rig: &Rig, from: &str, to: &str) -> Result<()> {
    let command = doc! { "renameCollection": from, "to": to };
    rig.source.admin(command).await.map(drop)
}

fn resync(progress: &Value) -> &Value {
    &progress["resync"]
}

/// Waits until the newest resync is done, as it is persisted, and everything is applied.
pub(crate) async fn wait_for_resync(rig: &Rig) -> Result<Value> {
    wait_until("resynced", DEADLINE, async || {
        let entries = resync_entries(rig).await?;
        Ok(match entries.last() {
            Some(last) if last.get_bool("done")? => Look::Done(()),
            last => Look::NotYet(format!("{last:?}")),
        })
    })
    .await?;
    wait_in_step(rig).await
}

async fn resyncs(rig: &Rig) -> Result<usize> {
    Ok(resync_entries(rig).await?.len())
}

async fn resync_entries(rig: &Rig) -> Result<Vec<Document>> {
    let session = metadata(rig, "session").await?;
    let session = session.first().context("no session")?;
    let Ok(entries) = session.get_array("resyncs") else {
        return Ok(Vec::new());
    };
    let entries = entries.iter().map(|entry| entry.as_document().cloned());
    entries.collect::<Option<_>>().context("not documents")
}

async fn wait_for_resyncs(rig: &Rig, count: usize) -> Result<()> {
    wait_until("resyncs have begun", DEADLINE, async || {
        Ok(match resyncs(rig).await? {
            found if found >= count => Look::Done(()),
            found => Look::NotYet(format!("{found} of {count}")),
        })
    })
    .await
}

/// Documents that a pause changes without any DDL.
async fn change_documents(rig: &Rig) -> Result<()> {
    let app = rig.source_db("app");
    for id in (0..3_000).step_by(300) {
        update(&app, "c", id, doc! { "$inc": { "n": 10_000 } }).await?;
        delete(&app, "c", id + 1).await?;
    }
    insert(&app, "c", documents(10_000..10_010)).await
}

/// The one document is missing, the other extra: only differences are written.
#[tokio::test]
async fn s59_a_pause_longer_than_the_oplog_costs_what_differs() -> Result<()> {
    let rig = rig().await?;
    let app = load(&rig).await?;
    insert(&app, "same", documents(0..2_000)).await?;
    start(&rig, json!({})).await?;
    rig.host.pause().await?;
    let before = steps::source_time(&rig).await?;
    change_documents(&rig).await?;
    roll_over(&rig).await?;
    let written = writes(&rig).await?;
    rig.host.resume().await?;
    let progress = wait_for_resync(&rig).await?;
    let written = writes(&rig).await? - written;
    let shown = resync(&progress);
    ensure!(
        number(shown, "/from/T") <= u64::from(before.time)
            && number(shown, "/to/T") >= u64::from(before.time)
            && text(shown, "reason").contains("ChangeStreamHistoryLost"),
        "{shown}"
    );
    rig.compare().await?;
    ensure!(
        written < 1_000,
        "{written} documents were written for 30 differences"
    );
    let comparison = &progress["comparison"];
    ensure!(
        number(comparison, "/differences") == 30 && number(comparison, "/documents") >= 4_900,
        "{comparison}"
    );
    rig.finish().await.map(drop)
}

/// Documents that the destination has written, its metadata included.
async fn writes(rig: &Rig) -> Result<i64> {
    let status = rig.destination.admin(doc! { "serverStatus": 1 }).await?;
    let documents = status.get_document("metrics")?.get_document("document")?;
    let counts = ["inserted", "updated", "deleted"].map(|kind| documents.get_i64(kind));
    counts
        .into_iter()
        .try_fold(0, |sum, count| Ok(sum + count?))
}

/// Collections for [`change_catalog`].
async fn create_catalog(rig: &Rig) -> Result<()> {
    let app = rig.source_db("app");
    for name in [
        "c", "a", "b", "turn1", "turn2", "turn3", "gone", "again", "out", "moved", "options",
    ] {
        let documents = documents(0..50).into_iter().map(|mut document| {
            document.insert("of", name);
            document
        });
        insert(&app, name, documents.collect()).await?;
    }
    insert(&app, "c", documents(50..3_000)).await?;
    let index = |key: &str, name: &str| doc! { "key": { key: 1 }, "name": name };
    for (collection, indexes) in [
        (
            "c",
            vec![
                index("n", "kept"),
                index("filler", "dropped"),
                index("n2", "other"),
            ],
        ),
        ("turn1", vec![index("of", "of")]),
    ] {
        run(
            &app,
            doc! { "createIndexes": collection, "indexes": indexes },
        )
        .await?;
    }
    run(
        &app,
        doc! { "create": "capped", "capped": true, "size": 100_000 },
    )
    .await?;
    insert(&app, "capped", documents(0..20)).await?;
    run(&app, doc! { "create": "v", "viewOn": "a", "pipeline": [] }).await?;
    run(
        &app,
        doc! { "create": "goneview", "viewOn": "a", "pipeline": [] },
    )
    .await?;
    insert(&rig.source_db("whole"), "x", documents(0..5)).await
}

/// DDL of every kind, without an event that is read.
async fn change_catalog(rig: &Rig) -> Result<()> {
    let app = rig.source_db("app");
    // Round in a ring, a swap, and a chain.
    for (from, to) in [
        ("app.turn1", "app.between"),
        ("app.turn3", "app.turn1"),
        ("app.turn2", "app.turn3"),
        ("app.between", "app.turn2"),
        ("app.a", "app.between"),
        ("app.b", "app.a"),
        ("app.between", "app.b"),
        ("app.moved", "other.moved"),
        ("app.out", "excluded.out"),
    ] {
        rename(rig, from, to).await?;
    }
    run(&app, doc! { "drop": "gone" }).await?;
    run(&app, doc! { "drop": "again" }).await?;
    insert(&app, "again", documents(100..120)).await?;
    run(
        &app,
        doc! { "convertToCapped": "options", "size": 1_000_000 },
    )
    .await?;
    insert(&app, "options", vec![doc! { "_id": "later" }]).await?;
    insert(&app, "capped", documents(20..30)).await?;
    run(
        &app,
        doc! { "dropIndexes": "c", "index": ["dropped", "other"] },
    )
    .await?;
    let changed = doc! { "key": { "n": -1, "n2": 1 }, "name": "other", "unique": false };
    run(&app, doc! { "createIndexes": "c", "indexes": [changed, { "key": { "n3": 1 }, "name": "new", "sparse": true }] }).await?;
    run(&app, doc! { "collMod": "c", "validator": { "n": { "$type": "number" } }, "validationLevel": "moderate" }).await?;
    run(&app, doc! { "drop": "goneview" }).await?;
    run(
        &app,
        doc! { "collMod": "v", "viewOn": "b", "pipeline": [{ "$match": { "n": 1 } }] },
    )
    .await?;
    run(
        &app,
        doc! { "create": "collated", "collation": { "locale": "fr", "strength": 1 } },
    )
    .await?;
    insert(
        &app,
        "collated",
        vec![doc! { "_id": "É" }, doc! { "_id": "a" }],
    )
    .await?;
    rig.source_db("whole").drop().await?;
    insert(&rig.source_db("fresh"), "x", documents(0..5)).await
}

#[tokio::test]
async fn s59_the_catalog_that_changed_meanwhile_is_reconciled() -> Result<()> {
    let mut rig = rig().await?;
    rig.set_scope(|database, _| database != "excluded");
    create_catalog(&rig).await?;
    let excluded = json!([{ "database": "excluded" }]);
    start(&rig, json!({ "excludeNamespaces": excluded })).await?;
    rig.host.pause().await?;
    change_documents(&rig).await?;
    change_catalog(&rig).await?;
    roll_over(&rig).await?;
    rig.host.resume().await?;
    wait_for_resync(&rig).await?;
    ensure!(names(&rig.destination_db("whole")).await?.is_empty());
    ensure!(names(&rig.destination_db("excluded")).await?.is_empty());
    // The stream goes on: under the new names, and with DDL.
    let app = rig.source_db("app");
    update(&app, "turn1", 3, doc! { "$set": { "later": 1 } }).await?;
    rename(&rig, "app.turn1", "app.turn4").await?;
    wait_in_step(&rig).await?;
    ensure!(
        metadata(&rig, "intents").await?.is_empty(),
        "an intent is left"
    );
    rig.finish().await.map(drop)
}

/// Killed at each step, with the oplog rolled over and the catalog changed again before each.
#[tokio::test]
async fn s59_a_resync_survives_kills_at_each_step() -> Result<()> {
    let mut rig = rig().await?;
    rig.set_scope(|database, _| database != "excluded");
    create_catalog(&rig).await?;
    rig.host
        .start(json!({ "excludeNamespaces": [{ "database": "excluded" }] }))
        .await?;
    rig.host.wait_can_commit().await?;
    rig.host.kill()?;
    change_documents(&rig).await?;
    change_catalog(&rig).await?;
    roll_over(&rig).await?;
    let app = rig.source_db("app");
    for (turn, point) in [
        "resync_begun",
        "resync_intended",
        "resync_dropped",
        "resync_aside:2",
        "resync_renamed:1",
        "resync_renamed:2",
        "resync_reconciled",
        "resync_persisted",
    ]
    .into_iter()
    .enumerate()
    {
        go_on_and_die(&mut rig, point).await?;
        for (from, to) in [
            ("app.b", "app.between"),
            ("app.turn1", "app.b"),
            ("app.between", "app.turn1"),
        ] {
            rename(&rig, from, to).await?;
        }
        let turn = turn as i32;
        update(&app, "c", 2 + turn, doc! { "$set": { "turn": turn } }).await?;
        run(
            &app,
            doc! { "collMod": "c", "validator": { "turn": { "$ne": -turn - 1 } } },
        )
        .await?;
        roll_over(&rig).await?;
    }
    for point in [
        "comparison_begun:2",
        "partition_done:2",
        "copy_partition_done",
    ] {
        go_on_and_die(&mut rig, point).await?;
        update(&app, "c", 2_500, doc! { "$set": { "at": point } }).await?;
    }
    rig.host.restart().await?;
    wait_for_resync(&rig).await?;
    ensure!(
        resyncs(&rig).await? == 2,
        "one was persisted, and is lost again"
    );
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn s59_with_stop_a_lost_position_stops_the_sync() -> Result<()> {
    let mut rig = rig().await?;
    rig.allow_log("OplogRolledOver");
    let app = rig.source_db("app");
    insert(&app, "c", documents(0..100)).await?;
    rig.host.start(json!({ "onOplogRollover": "stop" })).await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    delete(&app, "c", 7).await?;
    roll_over(&rig).await?;
    rig.host.resume().await?;
    let stopped = rig.host.wait_for_state("PAUSED").await?;
    let why = stopped["warnings"][0].as_str().unwrap_or_default();
    ensure!(
        why.contains("OplogRolledOver") && why.contains("onOplogRollover"),
        "{why}"
    );
    ensure!(stopped["resync"].is_null() && count(&rig.destination_db("app"), "c").await? == 100);
    let mismatch = json!({ "source": "cluster0", "destination": "cluster1" });
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &mismatch.to_string())
        .await?;
    ensure!(
        answer.status == 409,
        "the option is not compared: {}",
        answer.body
    );
    rig.abandon();
    Ok(())
}

/// A cursor that has lost its place is opened again; a position that is refused is lost.
#[tokio::test]
async fn s59_a_stream_that_cannot_go_on_is_resynced() -> Result<()> {
    let rig = rig().await?;
    let app = load(&rig).await?;
    start(&rig, json!({})).await?;
    refuse_stream(&rig, &["getMore"], doc! { "times": 1 }, 280).await?;
    change_documents(&rig).await?;
    wait_in_step(&rig).await?;
    ensure!(resyncs(&rig).await? == 0, "a cursor alone was lost");
    for (number, code) in [(1, 280), (2, 136), (3, 286), (4, 260)] {
        refuse_stream(&rig, &["getMore", "aggregate"], doc! { "times": 2 }, code).await?;
        insert(&app, "c", documents(20_000 * number..20_000 * number + 5)).await?;
        wait_for_resyncs(&rig, number as usize).await?;
        wait_for_resync(&rig).await?;
    }
    heal(&rig.source).await?;
    // Each followed another at once, and waited longer.
    let begun = resync_entries(&rig).await?;
    let begun: Vec<_> = begun.iter().map(|it| it.get_datetime("at")).collect();
    for (pair, seconds) in begun.windows(2).zip(1..) {
        let (Ok(before), Ok(after)) = (&pair[0], &pair[1]) else {
            bail!("no times: {begun:?}");
        };
        let apart = after.timestamp_millis() - before.timestamp_millis();
        ensure!(apart >= seconds * 1_000, "{seconds} s: {begun:?}");
    }
    rig.finish().await.map(drop)
}

/// Lets the source refuse commands of a change stream.
async fn refuse_stream(
    rig: &Rig,
    commands: &[&str],
    mode: impl Into<Bson>,
    code: i32,
) -> Result<()> {
    let namespace = "admin.$cmd.aggregate";
    let data = doc! { "failCommands": commands, "errorCode": code, "namespace": namespace };
    fail_command(&rig.source, mode, data).await
}

/// The source answers to other commands of a resync too that it does not hold what they ask for.
#[tokio::test]
async fn f91_a_resync_that_meets_a_lost_position_begins_again() -> Result<()> {
    const REOPEN: [&str; 2] = ["getMore", "aggregate"];
    let mut rig = rig().await?;
    rig.allow_log("OplogRolledOver");
    let app = load(&rig).await?;
    start(&rig, json!({})).await?;
    // Without an end: the sync pauses in the resync, and goes on with it.
    refuse_stream(&rig, &REOPEN, "alwaysOn", 286).await?;
    change_documents(&rig).await?;
    let stopped = rig.host.wait_for_state("PAUSED").await?;
    let why = stopped["warnings"][0].as_str().unwrap_or_default();
    ensure!(
        why.contains("OplogRolledOver")
            && why.contains("6 times")
            && !why.contains("onOplogRollover"),
        "{why}"
    );
    heal(&rig.source).await?;
    rig.host.resume().await?;
    wait_for_resync(&rig).await?;
    ensure!(resyncs(&rig).await? == 1);
    // The stream, and twice the command that takes a position.
    refuse_stream(&rig, &REOPEN, doc! { "times": 4 }, 280).await?;
    update(&app, "c", 2, doc! { "$set": { "later": 1 } }).await?;
    wait_for_resyncs(&rig, 2).await?;
    wait_for_resync(&rig).await?;
    rig.host.kill()?;
    delete(&app, "c", 2).await?;
    roll_over(&rig).await?;
    let data = doc! { "failCommands": ["listIndexes"], "errorCode": 136 };
    fail_command(&rig.source, doc! { "times": 2 }, data).await?;
    rig.host.restart().await?;
    wait_for_resyncs(&rig, 3).await?;
    wait_for_resync(&rig).await?;
    heal(&rig.source).await?;
    ensure!(resyncs(&rig).await? == 3);
    rig.finish().await.map(drop)
}

/// Indexes are being built through each step of a resync, of a collection that is only compared and of one that
/// has changed. The builds stand still until the end.
#[tokio::test]
async fn f90_a_resync_beside_index_builds_survives_kills() -> Result<()> {
    let mut rig = Rig::with(Options {
        destination: replica_set::Options::with_fail_points(),
        ..short_oplog()
    })
    .await?;
    rig.allow_log(LOST);
    let app = load(&rig).await?;
    insert(&app, "changed", documents(0..2_000)).await?;
    for name in ["c", "changed"] {
        let indexes = ["n", "filler"].map(|key| doc! { "key": { key: 1 }, "name": key });
        let command = doc! { "createIndexes": name, "indexes": indexes.to_vec() };
        run(&app, command).await?;
    }
    hold_builds(&rig, true).await?;
    rig.host.start(json!({})).await?;
    wait_for_build(&rig, "app.c").await?;
    wait_for_build(&rig, "app.changed").await?;
    rig.host.kill()?;
    change_documents(&rig).await?;
    delete(&app, "changed", 1_000).await?;
    run(&app, doc! { "dropIndexes": "changed", "index": "filler" }).await?;
    let validator = doc! { "n": { "$type": "number" } };
    run(&app, doc! { "collMod": "changed", "validator": validator }).await?;
    rename(&rig, "app.changed", "app.renamed").await?;
    roll_over(&rig).await?;
    for (turn, point) in [
        "resync_begun",
        "resync_intended",
        "resync_renamed",
        "resync_reconciled",
        "resync_persisted",
        "comparison_begun",
        "copy_partition_done",
        "indexes_begun",
    ]
    .into_iter()
    .enumerate()
    {
        go_on_and_die(&mut rig, point).await?;
        let mark = doc! { "$set": { "turn": turn as i32 } };
        update(&app, "c", 2, mark.clone()).await?;
        update(&app, "renamed", 2, mark).await?;
    }
    rig.host.restart().await?;
    // The position is lost once more while the host builds.
    wait_for_build(&rig, "app.c").await?;
    refuse_stream(&rig, &["getMore", "aggregate"], doc! { "times": 2 }, 286).await?;
    delete(&app, "renamed", 5).await?;
    wait_for_resyncs(&rig, 2).await?;
    wait_for_build(&rig, "app.c").await?;
    hold_builds(&rig, false).await?;
    heal(&rig.source).await?;
    wait_for_resync(&rig).await?;
    rig.host.wait_can_commit().await?;
    ensure!(resyncs(&rig).await? == 2);
    rig.finish().await.map(drop)
}

/// The oplog rolls over while the first copy is not done.
#[tokio::test]
async fn s59_a_copy_that_could_not_keep_up_is_resynced() -> Result<()> {
    let mut rig = rig_with_death(short_oplog(), "copy_batch_inserted:2").await?;
    rig.allow_log(LOST);
    let app = load(&rig).await?;
    insert(&app, "other", documents(0..500)).await?;
    start_and_die(&mut rig, json!({})).await?;
    change_documents(&rig).await?;
    rename(&rig, "app.other", "app.renamed").await?;
    insert(&app, "other", documents(0..10)).await?;
    roll_over(&rig).await?;
    rig.host.restart().await?;
    wait_for_resync(&rig).await?;
    rig.finish().await.map(drop)
}

/// With a filter of documents, a remap and the quarantine.
#[tokio::test]
async fn s59_a_resync_keeps_to_filters_and_names() -> Result<()> {
    let mut rig = rig().await?;
    let app = load(&rig).await?;
    insert(&app, "a", documents(0..30)).await?;
    let options = json!({
        "documentFilter": { "filter": { "n": { "$lt": 2_000 } } },
        "namespaceRemap": [{ "from": { "database": "app" }, "to": { "database": "renamed" } }],
    });
    start(&rig, options).await?;
    rig.host.pause().await?;
    change_documents(&rig).await?;
    rename(&rig, "app.a", "app.b").await?;
    insert(&app, "a", documents(0..3)).await?;
    roll_over(&rig).await?;
    rig.host.resume().await?;
    wait_for_resync(&rig).await?;
    let renamed = ["a", "b", "c"]
        .into_iter()
        .fold(Chain::of(|_, _| true), |chain, name| {
            chain.renamed(("app", name), ("renamed", name))
        });
    let filter = json!({ "filter": { "n": { "$lt": 2_000 } } });
    rig.expect(renamed.then::<DocumentFilter>(&filter)?);
    rig.finish().await.map(drop)
}

/// Documents in quarantine are read again: by then they may be sound, or gone.
#[tokio::test]
async fn s59_quarantined_documents_are_read_again() -> Result<()> {
    let mut rig = rig().await?;
    rig.allow_log("a plugin trapped");
    let app = rig.source_db("app");
    let refused = |id: i32| doc! { "_id": id, "fault": "refuse" };
    insert(&app, "c", (0..4).map(refused).collect()).await?;
    insert(&app, "c", (10..20).map(|id| doc! { "_id": id }).collect()).await?;
    insert(&app, "gone", vec![refused(0)]).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    let plugins = json!([{ "component": digest, "onError": "quarantine" }]);
    start(&rig, json!({ "plugins": plugins })).await?;
    rig.host.pause().await?;
    update(&app, "c", 0, doc! { "$unset": { "fault": 1 } }).await?;
    delete(&app, "c", 1).await?;
    update(&app, "c", 10, doc! { "$set": { "fault": "refuse" } }).await?;
    run(&app, doc! { "drop": "gone" }).await?;
    roll_over(&rig).await?;
    rig.host.resume().await?;
    let progress = wait_for_resync(&rig).await?;
    let held: Vec<_> = metadata(&rig, "quarantine").await?;
    let held = held
        .iter()
        .map(|entry| entry.get_document("documentId")?.get_i32("_id"));
    let mut held = held.collect::<Result<Vec<_>, _>>()?;
    held.sort_unstable();
    ensure!(
        held == [2, 3, 10] && progress["quarantined"] == 3,
        "{held:?}: {progress}"
    );
    let destination = rig.destination_db("app");
    ensure!(find(&destination, "c", 0).await?.is_some());
    ensure!(find(&destination, "c", 10).await?.is_none());
    rig.abandon();
    Ok(())
}

/// The new position is after the commit's time, and the commit waits for the comparison.
#[tokio::test]
async fn s59_a_commit_survives_a_lost_position() -> Result<()> {
    let mut rig = rig().await?;
    let app = load(&rig).await?;
    start(&rig, json!({})).await?;
    let held = hold(&rig, "c", 7).await?;
    change_documents(&rig).await?;
    update(&app, "c", 7, doc! { "$set": { "n": 1 } }).await?;
    rig.host.commit().await?;
    rig.host.kill()?;
    release(held).await?;
    roll_over(&rig).await?;
    rig.host.restart().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    ensure!(resyncs(&rig).await? == 1);
    rig.close().await.map(drop)
}

/// A resync goes on at the next host.
#[tokio::test]
async fn s59_a_resync_is_handed_over() -> Result<()> {
    let mut rig = rig().await?;
    let app = load(&rig).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    change_documents(&rig).await?;
    roll_over(&rig).await?;
    rig.host.restart().await?;
    let begun = |progress: &Value| !resync(progress).is_null();
    rig.host.wait_until("resyncs", DEADLINE, begun).await?;
    let answer = rig.host.call("POST", "/api/v1/handover", "{}").await?;
    ensure!(answer.status == 200, "{}", answer.body);
    rig.host.wait_for_end().await?;
    update(&app, "c", 5, doc! { "$set": { "later": 1 } }).await?;
    rig.host.restart().await?;
    wait_for_resync(&rig).await?;
    ensure!(resyncs(&rig).await? == 1);
    rig.finish().await.map(drop)
}

/// Writes go on while the position is lost and regained, and over the new position.
#[tokio::test]
async fn s59_writes_during_a_resync_arrive() -> Result<()> {
    let mut rig = rig().await?;
    let app = load(&rig).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(write(app, stop.clone()));
    for _ in 0..3 {
        rig.host.kill()?;
        roll_over(&rig).await?;
        let known = resyncs(&rig).await?;
        rig.host.restart().await?;
        wait_for_resyncs(&rig, known + 1).await?;
        wait_for_resync(&rig).await?;
    }
    stop.store(true, Ordering::Relaxed);
    let written = load.await??;
    ensure!(written > 100, "only {written} writes");
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Writes to `c` until it is stopped. Returns the number of writes.
async fn write(app: Database, stop: Arc<AtomicBool>) -> Result<i32> {
    let written = app.collection::<Document>("c");
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(n);
        }
        let id = doc! { "_id": n * 37 % 3_000 };
        match n % 7 {
            0 => written.delete_one(id).await.map(drop)?,
            1 => {
                let replaced = written.replace_one(id, doc! { "n": n });
                replaced.upsert(true).await.map(drop)?;
            }
            _ => {
                let changed = doc! { "$inc": { "n": 1 }, "$set": { "later": n } };
                written.update_one(id, changed).await.map(drop)?;
            }
        }
    }
    Ok(0)
}
