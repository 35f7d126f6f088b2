//! Time-series collections: their buckets are copied and kept in step byte by byte, and their views made at commit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use anyhow::{Context, Result, ensure};
use bson::{Bson, DateTime, Document, doc};
use mongodb::Database;
use serde_json::json;
use support::{
    Rig,
    host::DEADLINE,
    proxy::{Pattern, commands},
    wait::Look,
    wait_until,
};
use tokio::task::JoinHandle;

use crate::{
    findings_writes::proxied,
    resync::{roll_over, short_oplog, wait_for_resync},
    steps::{
        self, go_on_and_die, insert, metadata, names, rig_to_die_at, run, start_and_die,
        wait_in_step,
    },
};

/// 2026-01-01, in milliseconds.
const BEGIN: i64 = 1_767_225_600_000;

pub(crate) async fn create(
    database: &Database,
    name: &str,
    series: Document,
    more: Document,
) -> Result<()> {
    let mut command = doc! { "create": name, "timeseries": series };
    command.extend(more);
    run(database, command).await.map(drop)
}

fn measurement(second: i64, sensor: &str, value: f64) -> Document {
    let at = DateTime::from_millis(BEGIN + 1_000 * second);
    doc! { "t": at, "k": { "sensor": sensor, "site": second % 3 }, "v": value, "note": "x".repeat(20) }
}

/// Measurements of several sensors. Many are in a bucket, and hours lie between some.
pub(crate) fn measurements(seconds: std::ops::Range<i64>) -> Vec<Document> {
    let of = |n: i64| measurement(n * 40, &format!("s{}", n % 5), n as f64 / 4.0);
    seconds.map(of).collect()
}

/// Collections of each granularity, with and without a field for metadata, with an expiry, and with indexes.
pub(crate) async fn fill(database: &Database) -> Result<()> {
    for granularity in ["seconds", "minutes", "hours"] {
        let series = doc! { "timeField": "t", "metaField": "k", "granularity": granularity };
        create(database, granularity, series, doc! {}).await?;
        insert(database, granularity, measurements(0..1_500)).await?;
    }
    create(database, "plain", doc! { "timeField": "t" }, doc! {}).await?;
    insert(database, "plain", measurements(0..300)).await?;
    let series = doc! { "timeField": "t", "metaField": "k" };
    // The measurements are not expired for 30 years.
    let expiring = doc! { "expireAfterSeconds": 1_000_000_000_i64 };
    create(database, "expiring", series.clone(), expiring).await?;
    insert(database, "expiring", measurements(0..300)).await?;
    let collated = doc! { "collation": { "locale": "fr" } };
    create(database, "collated", series, collated).await?;
    insert(database, "collated", measurements(0..100)).await?;
    let indexes = vec![
        doc! { "key": { "k.sensor": 1, "t": -1 }, "name": "sensor" },
        doc! { "key": { "v": 1 }, "name": "v" },
        doc! { "key": { "t": 1 }, "name": "t", "hidden": true },
    ];
    run(
        database,
        doc! { "createIndexes": "seconds", "indexes": indexes },
    )
    .await?;
    Ok(())
}

/// Changes of documents that a server of 6.0 allows: inserts, updates of the metadata, deletes by it.
pub(crate) async fn change(database: &Database, collection: &str, round: i64) -> Result<()> {
    let series = database.collection::<Document>(collection);
    let first = 100_000 + round * 50;
    series
        .insert_many((0..10).map(|n| measurement(first + n, "hot", n as f64)))
        .await?;
    series
        .insert_one(measurement(first, &format!("new {round}"), 1.0))
        .await?;
    let set = doc! { "$set": { "k.site": 100 + round } };
    series
        .update_many(doc! { "k.sensor": format!("s{}", round % 5) }, set)
        .await?;
    if round % 7 == 3 {
        let gone = doc! { "k.sensor": format!("new {}", round - 1) };
        series.delete_many(gone).await?;
    }
    Ok(())
}

/// Changes documents of a collection until it is stopped.
pub(crate) fn write(database: Database, stop: &Arc<AtomicBool>) -> JoinHandle<Result<i64>> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut round = 0;
        while !stop.load(SeqCst) {
            round += 1;
            for collection in ["seconds", "hours"] {
                change(&database, collection, round).await?;
            }
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        }
        Ok(round)
    })
}

/// DDL on time-series collections, with documents between.
pub(crate) async fn change_collections(database: &Database, round: i64) -> Result<()> {
    let index = doc! { "key": { format!("r{round}"): 1 }, "name": format!("r{round}") };
    run(
        database,
        doc! { "createIndexes": "minutes", "indexes": [index] },
    )
    .await?;
    run(
        database,
        doc! { "collMod": "expiring", "expireAfterSeconds": 1_000_000_000 + round },
    )
    .await?;
    let name = format!("new {round}");
    let series = doc! { "timeField": "t", "metaField": "k" };
    create(database, &name, series.clone(), doc! {}).await?;
    insert(database, &name, measurements(0..40)).await?;
    let coarser = doc! { "collMod": &name, "timeseries": { "granularity": "minutes" } };
    run(database, coarser).await?;
    change(database, &name, round).await?;
    // The same name again, with other buckets.
    create(database, "again", series, doc! {}).await?;
    insert(database, "again", measurements(0..20)).await?;
    run(database, doc! { "drop": "again" }).await?;
    create(database, "again", doc! { "timeField": "t" }, doc! {}).await?;
    insert(database, "again", measurements(20..40)).await?;
    run(database, doc! { "drop": "again" }).await?;
    insert(database, "again", vec![doc! { "_id": round }]).await?;
    run(database, doc! { "drop": "again" }).await?;
    run(
        database,
        doc! { "dropIndexes": "minutes", "index": format!("r{round}") },
    )
    .await?;
    Ok(())
}

/// Options of the buckets on the destination.
async fn options_of(rig: &Rig, name: &str) -> Result<Document> {
    let listed = rig
        .destination_db("app")
        .run_command(doc! { "listCollections": 1, "filter": { "name": name } })
        .await?;
    let batch = listed.get_document("cursor")?.get_array("firstBatch")?;
    let first = batch
        .first()
        .and_then(Bson::as_document)
        .context(name.to_owned())?;
    Ok(first.get_document("options")?.clone())
}

async fn read(database: &Database, collection: &str) -> Result<Vec<Document>> {
    use futures::TryStreamExt;
    let collection = database.collection::<Document>(collection);
    Ok(collection.find(doc! {}).await?.try_collect().await?)
}

/// Compares what applications read.
pub(crate) async fn compare_views(rig: &Rig, collections: &[&str]) -> Result<()> {
    for name in collections {
        let source = read(&rig.source_db("app"), name).await?;
        let destination = read(&rig.destination_db("app"), name).await?;
        ensure!(
            !source.is_empty() && source == destination,
            "{name} differs"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s50_time_series_collections_are_copied_and_kept_in_step() -> Result<()> {
    let mut rig = rig_to_die_at("buckets_created").await?;
    let source = rig.source_db("app");
    fill(&source).await?;
    insert(&source, "ordinary", vec![doc! { "_id": 1 }]).await?;
    start_and_die(&mut rig, json!({})).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(source.clone(), &stop);
    for point in ["copies_begun", "copy_batch_inserted", "ddl_applied:2"] {
        change_collections(&source, point.len() as i64).await?;
        go_on_and_die(&mut rig, point).await.context(point)?;
    }
    change_collections(&source, 1).await?;
    go_on_and_die(&mut rig, "buckets_created").await?;
    change_collections(&source, 2).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    rig.host.pause().await?;
    rig.host.wait_for_state("PAUSED").await?;
    change_collections(&source, 3).await?;
    rig.host.resume().await?;
    rig.host.wait_for_state("RUNNING").await?;
    stop.store(true, SeqCst);
    ensure!(writer.await?? > 10);
    wait_in_step(&rig).await?;
    ensure!(
        options_of(&rig, "system.buckets.expiring")
            .await?
            .get("expireAfterSeconds")
            .is_none()
    );
    let made = names(&rig.destination_db("app")).await?;
    ensure!(
        !made.contains(&"seconds".to_owned()),
        "views are made at commit"
    );
    let progress = rig
        .host
        .call("GET", "/api/v1/progress?collections=true", "")
        .await?;
    ensure!(
        !progress.body.to_string().contains("system.buckets"),
        "{:#}",
        progress.body
    );
    ensure!(
        progress.body.to_string().contains("minutes"),
        "{:#}",
        progress.body
    );
    rig.commit().await?;
    let restored = options_of(&rig, "system.buckets.expiring").await?;
    ensure!(
        restored.get("expireAfterSeconds") == Some(&Bson::Int64(1_000_000_003)),
        "{restored}"
    );
    compare_views(
        &rig,
        &[
            "seconds", "minutes", "hours", "plain", "expiring", "collated", "new 3",
        ],
    )
    .await?;
    // Applications write on.
    change(&rig.destination_db("app"), "seconds", 900).await?;
    change(&source, "seconds", 900).await?;
    compare_counts(&rig, "seconds").await?;
    Ok(())
}

async fn compare_counts(rig: &Rig, collection: &str) -> Result<()> {
    let source = steps::count(&rig.source_db("app"), collection).await?;
    let destination = steps::count(&rig.destination_db("app"), collection).await?;
    ensure!(
        source == destination && source > 0,
        "{source} and {destination}"
    );
    Ok(())
}

pub(crate) async fn session(rig: &Rig) -> Result<Document> {
    let sessions = metadata(rig, "session").await?;
    sessions.first().cloned().context("no session")
}

/// A lost position: buckets are compared, and collections that came meanwhile are copied.
#[tokio::test(flavor = "multi_thread")]
async fn s50_a_lost_position_compares_buckets() -> Result<()> {
    for is_first in [true, false] {
        let mut rig = Rig::with(short_oplog()).await?;
        rig.allow_log("the position is lost");
        let source = rig.source_db("app");
        insert(&source, "ordinary", vec![doc! { "_id": 1 }]).await?;
        if !is_first {
            fill(&source).await?;
        }
        rig.host.start(json!({})).await?;
        rig.host.wait_can_commit().await?;
        rig.host.kill()?;
        if is_first {
            fill(&source).await?;
        } else {
            change(&source, "seconds", 60).await?;
            change_collections(&source, 8).await?;
            run(&source, doc! { "drop": "plain" }).await?;
            let series = doc! { "timeField": "t", "granularity": "hours" };
            create(&source, "plain", series, doc! {}).await?;
            insert(&source, "plain", measurements(0..10)).await?;
            run(&source, doc! { "drop": "collated" }).await?;
        }
        roll_over(&rig).await?;
        rig.host.restart().await?;
        wait_for_resync(&rig).await?;
        change(&source, "seconds", 61).await?;
        rig.finish().await?;
    }
    Ok(())
}

/// Commands on buckets, by the name of their command.
fn on_buckets(command: &'static str) -> Pattern {
    commands(command).when(move |sent| {
        let document = sent.document().ok();
        let name = document.and_then(|document| document.get_str(command).ok().map(str::to_owned));
        name.is_some_and(|name| name.starts_with("system.buckets."))
    })
}

/// Answers of DDL on buckets are lost, and a standby takes over.
#[tokio::test(flavor = "multi_thread")]
async fn s50_lost_answers_and_a_takeover() -> Result<()> {
    let mut rig = Rig::with(proxied()).await?;
    let source = rig.source_db("app");
    fill(&source).await?;
    let destination = &rig.proxies()?.destination;
    let lost = [
        destination.on(on_buckets("create").first()).cut_after(),
        destination.on(on_buckets("create").nth(3)).cut_before(),
        destination.on(on_buckets("create").nth(7)).cut_after(),
        destination.on(on_buckets("drop").first()).cut_after(),
        destination.on(on_buckets("drop").nth(3)).cut_before(),
        destination.on(on_buckets("collMod").first()).cut_after(),
        destination
            .on(on_buckets("createIndexes").nth(2))
            .cut_after(),
        destination.on(on_buckets("insert").first()).cut_after(),
    ];
    rig.host.start(json!({})).await?;
    change_collections(&source, 1).await?;
    rig.host.wait_can_commit().await?;
    change_collections(&source, 2).await?;
    wait_in_step(&rig).await?;
    drop(lost);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(source.clone(), &stop);
    let standby = steps::second(&mut rig, "standby").await?;
    change_collections(&source, 3).await?;
    rig.host.kill()?;
    drop(std::mem::replace(&mut rig.host, standby));
    change_collections(&source, 4).await?;
    rig.host.wait_can_commit().await?;
    stop.store(true, SeqCst);
    writer.await??;
    rig.finish().await?;
    Ok(())
}

/// A drop names no UUID. One that arrives late hits a later collection of that name: the sync stops by name, and a recopy
/// brings the collection back.
#[tokio::test(flavor = "multi_thread")]
async fn s50_a_late_drop_of_buckets_is_not_silent() -> Result<()> {
    let mut rig = Rig::with(proxied()).await?;
    let source = rig.source_db("app");
    let series = doc! { "timeField": "t", "metaField": "k" };
    for name in ["again", "other"] {
        create(&source, name, series.clone(), doc! {}).await?;
        insert(&source, name, measurements(0..50)).await?;
    }
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let late = rig
        .proxies()?
        .destination
        .on(on_buckets("drop").first())
        .hold_and_cut();
    run(&source, doc! { "drop": "again" }).await?;
    late.seen().await?;
    create(&source, "again", series, doc! {}).await?;
    insert(&source, "again", measurements(50..100)).await?;
    wait_in_step(&rig).await?;
    let answer = late.release().await?;
    ensure!(answer.get_f64("ok")? == 1.0, "{answer}");
    rig.allow_log("app.system.buckets.again");
    rig.allow_log("CollectionUUIDMismatch");
    change(&source, "again", 3).await?;
    let stopped = rig.host.wait_for_state("PAUSED").await?;
    ensure!(
        stopped["warnings"].to_string().contains("again"),
        "{stopped:#}"
    );
    let again = json!({ "namespaces": [{ "database": "app", "collection": "again" }] });
    let answer = rig
        .host
        .call("POST", "/api/v1/recopy", &again.to_string())
        .await?;
    ensure!(answer.status == 200, "{}", answer.body);
    rig.host.resume().await?;
    rig.finish().await?;
    Ok(())
}

/// A commit that is undone after the views were made leaves those of time-series collections.
#[tokio::test(flavor = "multi_thread")]
async fn s50_an_undone_commit_goes_on_with_time_series_collections() -> Result<()> {
    let mut rig = Rig::with(support::rig::Options {
        proxied: true,
        ..Default::default()
    })
    .await?;
    rig.allow_log("the commit is undone");
    let source = rig.source_db("app");
    fill(&source).await?;
    insert(&source, "ordinary", vec![doc! { "_id": 1 }]).await?;
    run(
        &source,
        doc! { "create": "zz", "viewOn": "ordinary", "pipeline": [] },
    )
    .await?;
    rig.host
        .start(json!({ "enableUserWriteBlocking": "sourceAndDestination" }))
        .await?;
    rig.host.wait_can_commit().await?;
    let last = commands("create").when(|command| {
        let name = command
            .document()
            .ok()
            .and_then(|document| document.get_str("create").ok().map(str::to_owned));
        name.as_deref() == Some("zz")
    });
    let held = rig.proxies()?.destination.on(last.first()).hold();
    let answer = rig
        .host
        .call("POST", "/api/v1/commit", r#"{"maxBlockSeconds": 3}"#)
        .await?;
    ensure!(answer.status == 200, "{}", answer.body);
    held.seen().await?;
    rig.host
        .wait_until("the commit is undone", DEADLINE, |progress| {
            progress["state"] == "RUNNING"
                && progress["warnings"].to_string().contains("CommitTimedOut")
        })
        .await?;
    wait_until("the source is open", DEADLINE, async || {
        let probe = source.collection::<Document>("ordinary");
        Ok(match probe.insert_one(doc! { "x": 1 }).await {
            Ok(_) => Look::Done(()),
            Err(error) => Look::NotYet(error.to_string()),
        })
    })
    .await?;
    change(&source, "seconds", 70).await?;
    for (name, granularity) in [("expiring", "minutes"), ("collated", "hours")] {
        let coarser = doc! { "collMod": name, "timeseries": { "granularity": granularity } };
        run(&source, coarser).await?;
        insert(&source, name, measurements(300..400)).await?;
    }
    run(&source, doc! { "drop": "plain" }).await?;
    run(&source, doc! { "drop": "hours" }).await?;
    let series = doc! { "timeField": "t" };
    create(&source, "hours", series, doc! {}).await?;
    insert(&source, "hours", measurements(0..10)).await?;
    wait_in_step(&rig).await?;
    let relaxed = options_of(&rig, "system.buckets.expiring").await?;
    ensure!(relaxed.get("expireAfterSeconds").is_none(), "{relaxed}");
    rig.commit().await?;
    compare_views(&rig, &["seconds", "expiring", "collated", "hours"]).await?;
    rig.close().await?;
    Ok(())
}
