//! Capped collections: natural order and exactly the documents that are left,
//! through copy, replay, crash and commit.

use anyhow::{Result, ensure};
use bson::{Bson, Document, doc};
use mongodb::Database;
use serde_json::json;
use support::{Rig, replica_set, rig::Options};

use crate::steps::{
    self, fail_command, find, go_on_and_die, insert, rig_with_death, run, start_and_die, update,
    wait_in_step,
};

const COLLECTIONS: [&str; 3] = ["by_size", "by_count", "by_both"];

async fn create(source: &Database) -> Result<()> {
    run(
        source,
        doc! { "create": "by_size", "capped": true, "size": 6 << 20 },
    )
    .await?;
    run(
        source,
        doc! { "create": "by_count", "capped": true, "size": 64 << 20, "max": 60 },
    )
    .await?;
    run(
        source,
        doc! { "create": "by_both", "capped": true, "size": 5 << 20, "max": 45 },
    )
    .await?;
    Ok(())
}

/// Inserts in an order that differs from that of the `_id`s. Older documents are evicted.
async fn append(source: &Database, range: std::ops::Range<i32>) -> Result<()> {
    for collection in COLLECTIONS {
        let documents = range
            .clone()
            .map(|n| doc! { "_id": (n * 7919) % 100_003, "n": n, "filler": "x".repeat(100_000) });
        insert(source, collection, documents.collect()).await?;
    }
    Ok(())
}

/// Changes documents without changing their size, which is all that the server allows.
async fn change(source: &Database, n: i32, mark: i32) -> Result<()> {
    for collection in COLLECTIONS {
        update(
            source,
            collection,
            (n * 7919) % 100_003,
            doc! { "$set": { "n": mark } },
        )
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn s_capped_natural_order() -> Result<()> {
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted:2").await?;
    let source = rig.source_db("app");
    create(&source).await?;
    append(&source, 0..80).await?;
    let left = steps::count(&source, "by_count").await?;
    ensure!(left == 60, "the source keeps {left} documents of 60");
    start_and_die(&mut rig, json!({})).await?;
    // Some copied documents are evicted, and documents that are not copied yet change.
    append(&source, 80..100).await?;
    change(&source, 99, -1).await?;
    go_on_and_die(&mut rig, "copy_batch_inserted:4").await?;
    append(&source, 100..115).await?;
    change(&source, 90, -2).await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    append(&source, 115..120).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    append(&source, 120..140).await?;
    change(&source, 130, -3).await?;
    rig.host.pause().await?;
    append(&source, 140..150).await?;
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    append(&source, 150..160).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// An `_id` that is used again, for a document of another size, at another place.
#[tokio::test]
async fn s_capped_id_used_again() -> Result<()> {
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted").await?;
    let source = rig.source_db("app");
    run(
        &source,
        doc! { "create": "c", "capped": true, "size": 1 << 20, "max": 4 },
    )
    .await?;
    insert(
        &source,
        "first",
        (0..100)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(10_000) })
            .collect(),
    )
    .await?;
    let one = |id: i32, bytes: usize| vec![doc! { "_id": id, "filler": "y".repeat(bytes) }];
    for id in 0..4 {
        insert(&source, "c", one(id, 10)).await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    // Each goes before it comes again; the copy reads the newest.
    for (round, bytes) in [30, 3, 300, 30].into_iter().enumerate() {
        for id in [10, 11, 12, 13, 0, 1, 2, 3] {
            insert(&source, "c", one(id, bytes + round)).await?;
        }
    }
    insert(&source, "c", one(10, 1)).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    for bytes in [30, 3] {
        for id in [20, 21, 22, 23, 10, 1, 2, 3] {
            insert(&source, "c", one(id, bytes)).await?;
        }
    }
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// The copy's cursor falls off the end of the collection: it is read again from its start.
#[tokio::test]
async fn s_capped_position_lost() -> Result<()> {
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..Options::default()
    };
    let rig = Rig::with(options).await?;
    let source = rig.source_db("app");
    create(&source).await?;
    append(&source, 0..80).await?;
    let lost = doc! { "failCommands": ["getMore"], "namespace": "app.by_count", "errorCode": 136 };
    fail_command(&rig.source, doc! { "times": 1 }, lost).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    append(&source, 80..90).await?;
    rig.finish().await?;
    Ok(())
}

/// More bytes than 32 bits hold, and no multiple of 256.
async fn create_odd_sizes(source: &Database) -> Result<()> {
    for (name, size) in [
        ("huge", Bson::Int64((5 << 30) + 1)),
        ("unbounded", Bson::Double(5_000.5)),
    ] {
        let create = doc! { "create": name, "capped": true, "size": size, "max": 1_000 };
        run(source, create).await?;
        insert(source, name, (0..20).map(|n| doc! { "_id": -n }).collect()).await?;
    }
    Ok(())
}

/// No document is evicted on the destination before it is on the source, and sizes are back after commit.
#[tokio::test]
async fn s_capped_sizes_are_restored() -> Result<()> {
    let mut rig = rig_with_death(Options::default(), "ddl_applied").await?;
    let source = rig.source_db("app");
    create(&source).await?;
    append(&source, 0..10).await?;
    create_odd_sizes(&source).await?;
    let _ = rig.host.start(json!({})).await;
    run(
        &source,
        doc! { "create": "later", "capped": true, "size": 4096, "max": 5 },
    )
    .await?;
    rig.host.wait_for_end().await?;
    insert(
        &source,
        "later",
        (0..12).map(|n| doc! { "_id": -n }).collect(),
    )
    .await?;
    run(
        &source,
        doc! { "collMod": "by_count", "cappedMax": 25, "cappedSize": 8 << 20 },
    )
    .await?;
    append(&source, 10..40).await?;
    run(
        &source,
        doc! { "collMod": "huge", "cappedSize": (6_i64 << 30) + 3 },
    )
    .await?;
    // No bound of their number.
    run(&source, doc! { "collMod": "unbounded", "cappedMax": 0 }).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    run(
        &source,
        doc! { "collMod": "huge", "cappedSize": (7_i64 << 30) + 257, "cappedMax": -1 },
    )
    .await?;
    run(&source, doc! { "collMod": "later", "cappedSize": 10_001 }).await?;
    wait_in_step(&rig).await?;
    for (collection, left) in [("later", 5), ("by_count", 25)] {
        ensure!(
            steps::count(&rig.destination_db("app"), collection).await? == left,
            "{collection}"
        );
    }
    ensure!(
        find(&rig.destination_db("app"), "later", 0)
            .await?
            .is_none()
    );
    rig.commit().await?;
    let listing = doc! { "listCollections": 1, "filter": { "name": "huge" } };
    let listed = run(&rig.destination_db("app"), listing).await?.to_string();
    ensure!(listed.contains("\"size\": 7516193280"), "{listed}");
    // The destination evicts by itself from now on, as the source would.
    for database in [&source, &rig.destination_db("app")] {
        database
            .collection::<Document>("later")
            .insert_one(doc! { "_id": "after" })
            .await?;
        ensure!(steps::count(database, "later").await? == 5);
    }
    rig.close().await?;
    Ok(())
}
