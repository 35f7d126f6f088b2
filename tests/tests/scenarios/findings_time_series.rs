//! Time-series collections that are created late, tampered with, left out, reversed, and refused.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use anyhow::{Context, Result, ensure};
use bson::{DateTime, Document, doc};
use mongodb::Database;
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE, wait::Look, wait_until};

use crate::{
    cutover::secure,
    steps::{self, go_on_and_die, insert, names, refused, run, wait_in_step},
    time_series::{
        change, change_collections, compare_views, create, fill, measurements, session, write,
    },
};

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

/// A look at the source shows other buckets than those of the event.
#[tokio::test(flavor = "multi_thread")]
async fn f114_a_series_that_is_created_again_and_again_is_taken_by_its_own_events() -> Result<()> {
    for has_series in [true, false] {
        let mut rig = Rig::start().await?;
        let source = rig.source_db("app");
        if has_series {
            fill(&source).await?;
        }
        rig.host.start(json!({})).await?;
        rig.host.wait_can_commit().await?;
        rig.host.kill()?;
        for round in 0..3 {
            let series = doc! { "timeField": "t", "metaField": "k" };
            run(&source, doc! { "create": "again", "timeseries": series }).await?;
            let measurements = (0..20)
                .map(|n| doc! { "t": DateTime::from_millis(n * 60_000), "k": round, "n": n });
            insert(&source, "again", measurements.collect()).await?;
            if round < 2 {
                run(&source, doc! { "drop": "again" }).await?;
            }
        }
        rig.host.restart().await?;
        wait_in_step(&rig).await?;
        rig.finish().await?;
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

/// 0.5.0 works on a sync of this release meanwhile, and meets a time-series collection: commit refuses it by name.
#[tokio::test(flavor = "multi_thread")]
async fn f119_an_earlier_release_meets_a_time_series_collection() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("TimeSeriesNotSupported");
    let source = rig.source_db("app");
    insert(&source, "ordinary", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let ours = rig.host.arguments().binary.clone();
    let theirs = support::release::binary(support::release::BEFORE_TIME_SERIES)?;
    for binary in [theirs, ours] {
        rig.host.terminate().await?;
        rig.host.arguments_mut().binary = binary;
        rig.host.restart().await?;
        let series = doc! { "timeField": "t", "metaField": "k" };
        if !names(&source).await?.contains(&"weather".to_owned()) {
            create(&source, "weather", series, doc! {}).await?;
        }
        insert(&source, "weather", measurements(0..10)).await?;
        wait_in_step(&rig).await?;
    }
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    let stopped = rig.host.wait_for_state("PAUSED").await?;
    ensure!(
        stopped.to_string().contains("TimeSeriesNotSupported"),
        "{stopped:#}"
    );
    run(&source, doc! { "drop": "weather" }).await?;
    rig.host.resume().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.close().await?;
    Ok(())
}

/// An earlier release refuses a sync that takes time-series collections, and metadata has no way back.
#[tokio::test(flavor = "multi_thread")]
async fn f119_an_earlier_release_refuses_a_sync_with_time_series_collections() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("MetadataVersionNotSupported");
    fill(&rig.source_db("app")).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.terminate().await?;
    let ours = rig.host.arguments().binary.clone();
    let rollback = std::process::Command::new(&ours)
        .args(["metadata", "rollback"])
        .args(["--cluster0", &rig.source.uri()])
        .args(["--cluster1", &rig.destination.uri()])
        .output()?;
    let said = String::from_utf8_lossy(&rollback.stderr);
    ensure!(
        !rollback.status.success() && said.contains("time-series"),
        "{said}"
    );
    rig.host.arguments_mut().binary =
        support::release::binary(support::release::BEFORE_TIME_SERIES)?;
    let refused = rig.host.restart().await.err().context("0.5.0 goes on")?;
    let refused = format!("{refused:#}");
    ensure!(refused.contains("MetadataVersionNotSupported"), "{refused}");
    rig.host.arguments_mut().binary = ours;
    rig.host.restart().await?;
    change(&rig.source_db("app"), "seconds", 1).await?;
    rig.finish().await?;
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
