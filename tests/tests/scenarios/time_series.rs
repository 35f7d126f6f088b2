//! Time-series collections: their buckets are copied and kept in step byte by byte, and their views made at commit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use anyhow::{Context, Result, ensure};
use bson::{Bson, DateTime, Document, doc};
use mongodb::Database;
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE, proxy::commands, wait::Look, wait_until};
use tokio::task::JoinHandle;

use crate::{
    cutover::secure,
    resync::{roll_over, short_oplog, wait_for_resync},
    steps::{
        self, go_on_and_die, insert, metadata, names, refused, rig_to_die_at, run, start_and_die,
        wait_in_step,
    },
};

/// 2026-01-01, in milliseconds.
const BEGIN: i64 = 1_767_225_600_000;

async fn create(database: &Database, name: &str, series: Document, more: Document) -> Result<()> {
    let mut command = doc! { "create": name, "timeseries": series };
    command.extend(more);
    run(database, command).await.map(drop)
}

fn measurement(second: i64, sensor: &str, value: f64) -> Document {
    let at = DateTime::from_millis(BEGIN + 1_000 * second);
    doc! { "t": at, "k": { "sensor": sensor, "site": second % 3 }, "v": value, "note": "x".repeat(20) }
}

/// Measurements of several sensors. Many are in a bucket, and hours lie between some.
fn measurements(seconds: std::ops::Range<i64>) -> Vec<Document> {
    let of = |n: i64| measurement(n * 40, &format!("s{}", n % 5), n as f64 / 4.0);
    seconds.map(of).collect()
}

/// Collections of each granularity, with and without a field for metadata, with an expiry, and with indexes.
async fn fill(database: &Database) -> Result<()> {
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
async fn change(database: &Database, collection: &str, round: i64) -> Result<()> {
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
fn write(database: Database, stop: &Arc<AtomicBool>) -> JoinHandle<Result<i64>> {
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
async fn change_collections(database: &Database, round: i64) -> Result<()> {
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
async fn compare_views(rig: &Rig, collections: &[&str]) -> Result<()> {
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

async fn session(rig: &Rig) -> Result<Document> {
    let sessions = metadata(rig, "session").await?;
    sessions.first().cloned().context("no session")
}

/// A sync without time-series collections has the stream of earlier releases, until one is created.
#[tokio::test(flavor = "multi_thread")]
async fn f115_a_time_series_collection_is_created_while_the_sync_runs() -> Result<()> {
    for point in [
        "system_events_shown",
        "buckets_created",
        "ddl_applied:1",
        "position_persisted:2",
    ] {
        let mut rig = Rig::start().await?;
        let source = rig.source_db("app");
        insert(&source, "ordinary", vec![doc! { "_id": 1 }]).await?;
        rig.host.start(json!({})).await?;
        rig.host.wait_can_commit().await?;
        let before = session(&rig).await?;
        ensure!(
            before.get_i32("metadataVersion")? == 5 && !before.contains_key("systemEvents"),
            "{before}"
        );
        rig.host.kill()?;
        fill(&source).await?;
        insert(&source, "ordinary", vec![doc! { "_id": 2 }]).await?;
        go_on_and_die(&mut rig, point).await.context(point)?;
        change_collections(&source, 1).await?;
        rig.host.restart().await?;
        wait_in_step(&rig).await.context(point)?;
        let after = session(&rig).await?;
        ensure!(
            after.get_i32("metadataVersion")? == 6 && after.get_bool("systemEvents")?,
            "{after}"
        );
        change(&source, "minutes", 5).await?;
        rig.finish().await.context(point)?;
    }
    Ok(())
}

async fn mismatches(rig: &Rig) -> Result<Vec<Value>> {
    let answer = rig
        .host
        .call("GET", "/api/v1/verification/mismatches", "")
        .await?;
    let all = answer.body["mismatches"].as_array().context("no list")?;
    Ok(all
        .iter()
        .filter(|one| one["state"] == "open")
        .cloned()
        .collect())
}

/// Tampered buckets are found and repaired under the name of their collection.
#[tokio::test(flavor = "multi_thread")]
async fn f116_a_tampered_bucket_is_found() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a document differs");
    let source = rig.source_db("app");
    fill(&source).await?;
    rig.host
        .start(json!({ "verification": { "enabled": true } }))
        .await?;
    rig.host.wait_can_commit().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(source.clone(), &stop);
    let buckets = rig
        .destination_db("app")
        .collection::<Document>("system.buckets.minutes");
    let first = buckets
        .find_one(doc! {})
        .sort(doc! { "_id": 1 })
        .await?
        .context("no bucket")?;
    let id = first.get_object_id("_id")?;
    let tampered = doc! { "$set": { "meta.site": "tampered" } };
    buckets.update_one(doc! { "_id": id }, tampered).await?;
    let found = wait_until("a mismatch", DEADLINE, async || {
        let found = mismatches(&rig).await?;
        Ok(match found.len() {
            1 => Look::Done(found),
            _ => Look::NotYet(format!("{found:?}")),
        })
    })
    .await?;
    let text = found[0].to_string();
    ensure!(
        text.contains(&id.to_hex()) && text.contains("minutes") && !text.contains("system.buckets"),
        "{text}"
    );
    stop.store(true, SeqCst);
    writer.await??;
    let answer = rig
        .host
        .call("POST", "/api/v1/verification/repair", "")
        .await?;
    ensure!(answer.status == 200, "{}", answer.body);
    wait_until("it is repaired", DEADLINE, async || {
        let found = mismatches(&rig).await?;
        Ok(match found.is_empty() {
            true => Look::Done(()),
            false => Look::NotYet(format!("{found:?}")),
        })
    })
    .await?;
    let again = json!({ "namespaces": [{ "database": "app", "collection": "minutes" }] });
    let answer = rig
        .host
        .call("POST", "/api/v1/recopy", &again.to_string())
        .await?;
    ensure!(answer.status == 200, "{}", answer.body);
    rig.finish().await?;
    Ok(())
}

/// Filters, new names and plugins name the time-series collection. No plugin sees buckets.
#[tokio::test(flavor = "multi_thread")]
async fn f117_options_name_time_series_collections() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    fill(&source).await?;
    insert(&source, "ordinary", vec![doc! { "_id": 1, "a": 1 }]).await?;
    let options = |only: Value| {
        json!({
            "source": "cluster0", "destination": "cluster1",
            "includeNamespaces": [{ "database": "app", "collections": ["seconds", "plain", "expiring", "ordinary"] }],
            "excludeNamespaces": [{ "database": "app", "collections": ["expiring"] }],
            "namespaceRemap": [{ "from": { "database": "app", "collection": "plain" },
                "to": { "database": "app", "collection": "renamed" } }],
            "plugins": [{ "component": "document-filter", "config": { "filter": { "a": 1 } }, "namespaces": only }],
        })
    };
    let all = json!([{ "database": "app" }]);
    refused(&rig, "start", options(all), "TimeSeriesNotSupported").await?;
    let buckets = json!({ "source": "cluster0", "destination": "cluster1",
        "excludeNamespaces": [{ "database": "app", "collections": ["system.buckets.seconds"] }] });
    refused(&rig, "start", buckets, "InvalidField").await?;
    let start = options(json!([{ "database": "app", "collections": ["ordinary"] }]));
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &start.to_string())
        .await?;
    ensure!(answer.status == 200, "{}", answer.body);
    rig.host.wait_can_commit().await?;
    insert(&source, "plain", measurements(400..500)).await?;
    for collection in ["seconds", "minutes"] {
        change(&source, collection, 4).await?;
    }
    change_collections(&source, 3).await?;
    wait_in_step(&rig).await?;
    rig.commit().await?;
    let made = names(&rig.destination_db("app")).await?;
    ensure!(made == ["ordinary", "renamed", "seconds"], "{made:?}");
    rig.expect(Renamed);
    rig.close().await?;
    Ok(())
}

/// A time-series collection that a plugin would see stops the sync by name, and its drop lets the sync go on.
#[tokio::test(flavor = "multi_thread")]
async fn f117_a_collection_that_plugins_would_see_stops_the_sync_until_its_drop() -> Result<()> {
    for knows_system_events in [false, true] {
        let mut rig = Rig::start().await?;
        rig.allow_log("TimeSeriesNotSupported");
        let source = rig.source_db("app");
        insert(&source, "ordinary", vec![doc! { "_id": 1, "a": 1 }]).await?;
        let series = doc! { "timeField": "t", "metaField": "k" };
        if knows_system_events {
            create(&rig.source_db("free"), "weather", series.clone(), doc! {}).await?;
        }
        let plugin = json!({ "component": "document-filter", "config": { "filter": { "a": 1 } },
            "namespaces": [{ "database": "app" }] });
        rig.host.start(json!({ "plugins": [plugin] })).await?;
        rig.host.wait_can_commit().await?;
        create(&source, "weather", series.clone(), doc! {}).await?;
        insert(&source, "weather", measurements(0..10)).await?;
        let paused = rig.host.wait_for_state("PAUSED").await?;
        ensure!(
            paused.to_string().contains("TimeSeriesNotSupported"),
            "{paused:#}"
        );
        run(&source, doc! { "drop": "weather" }).await?;
        rig.host.resume().await?;
        create(&rig.source_db("free"), "later", series, doc! {}).await?;
        insert(&rig.source_db("free"), "later", measurements(0..10)).await?;
        insert(&source, "ordinary", vec![doc! { "_id": 2, "a": 1 }]).await?;
        wait_in_step(&rig).await?;
        rig.finish().await?;
    }
    Ok(())
}

/// The scope of [`f117_options_name_time_series_collections`].
struct Renamed;

impl support::compare::Expectation for Renamed {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        let name = match collection {
            "plain" => "renamed",
            "seconds" | "ordinary" => collection,
            _ => return None,
        };
        Some((database.to_owned(), name.to_owned()))
    }
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

/// Without access to buckets, time-series collections are refused by name, and others are synced.
#[tokio::test(flavor = "multi_thread")]
async fn f119_the_documented_roles_are_needed_for_buckets() -> Result<()> {
    let rig = secure(support::rig::Options::default()).await?;
    let mut rig = rig;
    let source = rig.source_db("app");
    let series = doc! { "timeField": "t", "metaField": "k" };
    create(&source, "weather", series.clone(), doc! {}).await?;
    insert(&source, "weather", measurements(0..500)).await?;
    insert(&source, "ordinary", vec![doc! { "_id": 1 }]).await?;
    let actions = ["find", "listIndexes", "collStats"];
    let buckets = doc! { "resource": { "db": "", "system_buckets": "" }, "actions": &actions[..] };
    let change_role = async |command: &str| {
        let command = doc! { command: "tidegateSource", "privileges": [&buckets] };
        rig.source.admin(command).await.map(drop)
    };
    change_role("revokePrivilegesFromRole").await?;
    rig.host.restart().await?;
    let start = steps::start_body(json!({}));
    refused(&rig, "start", start.clone(), "MissingPrivileges").await?;
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &start.to_string())
        .await?;
    let message = answer.body.to_string();
    ensure!(
        message.contains("system_buckets") && message.contains("app.weather"),
        "{message}"
    );
    change_role("grantPrivilegesToRole").await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    change(&source, "weather", 3).await?;
    change_collections_of_one(&source).await?;
    rig.finish().await?;
    Ok(())
}

/// Every kind of DDL on one collection.
async fn change_collections_of_one(database: &Database) -> Result<()> {
    let series = doc! { "timeField": "t", "metaField": "k" };
    create(
        database,
        "later",
        series,
        doc! { "expireAfterSeconds": 1_000_000_000_i64 },
    )
    .await?;
    insert(database, "later", measurements(0..50)).await?;
    let index = doc! { "key": { "k.site": 1 }, "name": "site" };
    run(
        database,
        doc! { "createIndexes": "later", "indexes": [index] },
    )
    .await?;
    run(
        database,
        doc! { "collMod": "later", "timeseries": { "granularity": "hours" } },
    )
    .await?;
    run(database, doc! { "dropIndexes": "later", "index": "site" }).await?;
    create(database, "gone", doc! { "timeField": "t" }, doc! {}).await?;
    run(database, doc! { "drop": "gone" }).await?;
    Ok(())
}

/// A sync that 0.5.0 has begun keeps its stream, so that 0.5.0 can go on with it.
#[tokio::test(flavor = "multi_thread")]
async fn f119_a_sync_of_an_earlier_release_goes_on_without_time_series() -> Result<()> {
    let mut rig = Rig::with(support::rig::Options {
        host_binary: Some(support::release::binary(
            support::release::BEFORE_TIME_SERIES,
        )?),
        ..Default::default()
    })
    .await?;
    let ours = support::host::binary()?;
    let theirs = rig.host.arguments().binary.clone();
    let source = rig.source_db("app");
    insert(
        &source,
        "ordinary",
        (0..100).map(|n| doc! { "_id": n }).collect(),
    )
    .await?;
    rig.host.start(json!({})).await?;
    for (round, binary) in [&ours, &theirs, &ours].into_iter().enumerate() {
        rig.host.terminate().await?;
        rig.host.arguments_mut().binary.clone_from(binary);
        rig.host.restart().await?;
        insert(
            &source,
            "ordinary",
            vec![doc! { "_id": 1_000 + round as i32 }],
        )
        .await?;
        wait_in_step(&rig).await?;
    }
    let progress = rig.host.progress().await?;
    let deferred = progress["featureSet"]["deferredFeatures"].to_string();
    ensure!(deferred.contains("timeSeries"), "{progress:#}");
    fill(&source).await?;
    insert(&source, "ordinary", vec![doc! { "_id": 2_000 }]).await?;
    wait_in_step(&rig).await?;
    let after = session(&rig).await?;
    ensure!(
        after.get_i32("metadataVersion")? == 5 && !after.contains_key("systemEvents"),
        "{after}"
    );
    rig.allow_log("TimeSeriesNotSupported");
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host
        .wait_until("the commit is refused", DEADLINE, |progress| {
            progress.to_string().contains("TimeSeriesNotSupported")
        })
        .await?;
    rig.host.wait_for_state("PAUSED").await?;
    for name in [
        "seconds", "minutes", "hours", "plain", "expiring", "collated",
    ] {
        run(&source, doc! { "drop": name }).await?;
    }
    rig.host.resume().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.close().await?;
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

/// A committed sync is reversed with its time-series collections.
#[tokio::test(flavor = "multi_thread")]
async fn f118_time_series_collections_are_reversed() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    fill(&source).await?;
    rig.host
        .start(json!({ "reversible": true, "enableUserWriteBlocking": "sourceAndDestination" }))
        .await?;
    rig.commit().await?;
    rig.compare().await?;
    let used = rig.destination_db("app");
    change(&used, "seconds", 50).await?;
    let answer = rig.host.call("POST", "/api/v1/reverse", "{}").await?;
    ensure!(answer.status == 200, "{}", answer.body);
    change(&used, "seconds", 51).await?;
    change_collections(&used, 7).await?;
    let coarser = doc! { "collMod": "plain", "timeseries": { "granularity": "minutes" } };
    run(&used, coarser).await?;
    run(&used, doc! { "drop": "collated" }).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let all = |_: &str, _: &str| true;
    support::compare::compare(rig.destination.client(), rig.source.client(), &all)
        .await?
        .into_result()?;
    compare_views(&rig, &["seconds", "plain", "expiring"]).await?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}
