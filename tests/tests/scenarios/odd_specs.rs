//! Settings of indexes and databases that are rare, and that the server accepts.

use anyhow::{Result, ensure};
use bson::{Bson, DateTime, Document, doc};
use mongodb::Database;
use serde_json::json;
use support::{Rig, host::DEADLINE, replica_set, rig::Options, wait::Look, wait_until};

use crate::steps::{self, DEATH, insert, rig_to_die_at, run, start_and_die, update, wait_in_step};

/// Index specs that MongoDB 6.0 accepts: fractional and huge directions, old versions, a long name, `expireAfterSeconds` that
/// is NaN, huge or fractional, options as numbers, options of older servers, a state between not unique and unique.
fn odd_indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "a": -1e-10 }, "name": "tiny" },
        doc! { "key": { "a": 1e300 }, "name": "huge" },
        doc! { "key": { "a": 1, "b": -0.5 }, "name": "v1", "v": 1 },
        doc! { "key": { "g": "2dsphere" }, "name": "sphere 1", "2dsphereIndexVersion": 1 },
        doc! { "key": { "x": 1 }, "name": "x".repeat(500) },
        doc! { "key": { "b": 1 }, "name": "old", "background": true, "ns": "app.c", "dropDups": true },
        doc! { "key": { "t1": 1 }, "name": "ttl nan", "expireAfterSeconds": f64::NAN },
        doc! { "key": { "t2": 1 }, "name": "ttl huge", "expireAfterSeconds": i32::MAX },
        doc! { "key": { "t3": 1 }, "name": "ttl fraction", "expireAfterSeconds": 1e6 + 0.5 },
        doc! { "key": { "s": 1 }, "name": "numbers", "sparse": 1, "unique": 1.0 },
        doc! { "key": { "p": 1 }, "name": "between", "prepareUnique": true },
        doc! { "key": { "f": 1 }, "name": "forced", "unique": true },
        doc! { "key": { "f": -1 }, "name": "forced and hidden", "unique": true },
        doc! { "key": { "h": 1 }, "name": "shown", "hidden": false },
        doc! { "key": { "m": "text" }, "name": "text 2", "textIndexVersion": 2 },
        doc! { "key": { "e": 1 }, "name": "engine",
        "storageEngine": { "wiredTiger": { "configString": "block_compressor=zlib" } } },
    ]
}

async fn create(database: &Database, collection: &str, indexes: Vec<Document>) -> Result<()> {
    run(
        database,
        doc! { "createIndexes": collection, "indexes": indexes },
    )
    .await
    .map(drop)
}

fn documents() -> Vec<Document> {
    let document = |n: i32| doc! { "_id": n, "a": n, "b": n, "p": n, "s": n, "f": n, "m": "words", "x": n, "t1": DateTime::from_millis(0) };
    (0..60).map(document).collect()
}

/// They arrive when they exist before the copy, are created in it, and in step, and follow `collMod`.
#[tokio::test(flavor = "multi_thread")]
async fn f201_rare_settings_of_indexes_arrive() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    let source = rig.source_db("app");
    for name in ["before", "during", "in_step"] {
        insert(&source, name, documents()).await?;
    }
    create(&source, "before", odd_indexes()).await?;
    start_and_die(&mut rig, json!({})).await?;
    create(&source, "during", odd_indexes()).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    create(&source, "in_step", odd_indexes()).await?;
    for (collection, long) in [("before", 77), ("during", 78), ("in_step", 79)] {
        let modify = async |index: Document| {
            run(&source, doc! { "collMod": collection, "index": index }).await
        };
        // An index becomes one that expires documents, by its key and by its name.
        modify(doc! { "keyPattern": { "a": 1e300 }, "expireAfterSeconds": 1_000_000_000_i64 })
            .await?;
        modify(doc! { "name": "x".repeat(500), "expireAfterSeconds": long }).await?;
        // An index becomes unique, another stays on its way, a third turns back.
        modify(doc! { "name": "old", "prepareUnique": true }).await?;
        modify(doc! { "name": "old", "unique": true }).await?;
        modify(doc! { "name": "tiny", "prepareUnique": true }).await?;
        modify(doc! { "name": "between", "prepareUnique": false }).await?;
        modify(doc! { "name": "shown", "hidden": true }).await?;
        // A unique index becomes one that is not, and a value occurs twice.
        modify(doc! { "name": "forced", "forceNonUnique": true }).await?;
        modify(doc! { "name": "forced and hidden", "forceNonUnique": true, "hidden": true })
            .await?;
        update(&source, collection, 1, doc! { "$set": { "f": 2 } }).await?;
    }
    wait_in_step(&rig).await?;
    let compared = rig.finish().await?;
    ensure!(
        compared.indexes >= 3 * odd_indexes().len() as u64,
        "{compared:?}"
    );
    Ok(())
}

/// A database with a profile, functions, a view and a time-series collection is dropped and created again, in the copy
/// and in step.
#[tokio::test(flavor = "multi_thread")]
async fn f202_databases_with_everything_in_them_are_dropped() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    rig.allow_log(DEATH);
    for name in ["copied", "kept", "stepped"] {
        everything(&rig.source_db(name), 0).await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    again(&rig, "copied", 1).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    again(&rig, "stepped", 2).await?;
    again(&rig, "copied", 3).await?;
    wait_in_step(&rig).await?;
    run(&rig.source_db("kept"), doc! { "profile": 0 }).await?;
    rig.finish().await.map(drop)
}

async fn everything(database: &Database, mark: i32) -> Result<()> {
    run(database, doc! { "profile": 2 }).await?;
    // Options of older servers, which 6.0 stores and shows.
    run(
        database,
        doc! { "create": "c", "autoIndexId": true, "recordPreImages": true },
    )
    .await?;
    let capped = doc! { "create": "capped", "capped": true, "size": 5_000, "autoIndexId": true };
    run(database, capped).await?;
    run(
        database,
        doc! { "collMod": "c", "recordPreImages": mark % 2 == 0 },
    )
    .await?;
    insert(
        database,
        "c",
        (0..40).map(|n| doc! { "_id": n, "mark": mark }).collect(),
    )
    .await?;
    run(
        database,
        doc! { "create": "v", "viewOn": "c", "pipeline": [{ "$match": { "mark": mark } }] },
    )
    .await?;
    let series = doc! { "timeField": "t", "metaField": "k" };
    run(database, doc! { "create": "series", "timeseries": series }).await?;
    let measurement = |n: i64| doc! { "t": DateTime::from_millis(n * 60_000), "k": mark };
    insert(database, "series", (0..50).map(measurement).collect()).await?;
    let function = doc! { "_id": "f", "value": Bson::JavaScriptCode(format!("{mark}")) };
    insert(database, "system.js", vec![function]).await
}

async fn again(rig: &Rig, name: &str, mark: i32) -> Result<()> {
    let database = rig.source_db(name);
    run(&database, doc! { "profile": 0 }).await?;
    database.drop().await?;
    everything(&database, mark).await?;
    run(&database, doc! { "profile": 0 }).await.map(drop)
}

/// The source expires documents while they are copied, in step, and after their index was dropped, changed, or moved away by a
/// rename.
#[tokio::test(flavor = "multi_thread")]
async fn f203_documents_that_expire_meanwhile_are_gone() -> Result<()> {
    let quick = || {
        replica_set::Options::default()
            .argument("--setParameter")
            .argument("ttlMonitorSleepSecs=1")
    };
    let mut rig = Rig::with(Options {
        source: quick(),
        destination: quick(),
        kill_at: Some("partition_begun".to_owned()),
        ..Options::default()
    })
    .await?;
    rig.allow_log(DEATH);
    let source = rig.source_db("app");
    for name in ["expiring", "dropped", "renamed", "converted"] {
        fill(&source, name, 0).await?;
    }
    let ttl = |after: i32| doc! { "key": { "at": 1 }, "name": "ttl", "expireAfterSeconds": after };
    create(
        &source,
        "converted",
        vec![doc! { "key": { "at": 1 }, "name": "ttl" }],
    )
    .await?;
    for name in ["dropped", "renamed"] {
        create(&source, name, vec![ttl(i32::MAX)]).await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    create(&source, "expiring", vec![ttl(0)]).await?;
    wait_for_count(&source, "expiring", 50).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    fill(&source, "expiring", 1_000).await?;
    run(&source, doc! { "dropIndexes": "dropped", "index": "ttl" }).await?;
    rig.source
        .admin(doc! { "renameCollection": "app.renamed", "to": "app.away" })
        .await?;
    // The same name without the index: the documents stay.
    fill(&source, "renamed", 0).await?;
    let sooner = doc! { "name": "ttl", "expireAfterSeconds": 5 };
    for name in ["away", "converted"] {
        run(&source, doc! { "collMod": name, "index": sooner.clone() }).await?;
        wait_for_count(&source, name, 50).await?;
    }
    wait_for_count(&source, "expiring", 100).await?;
    let moved = doc! { "$set": { "at": DateTime::from_millis(5_000_000_000_000) } };
    update(&source, "converted", 51, moved).await?;
    wait_in_step(&rig).await?;
    let kept = steps::count(&rig.destination_db("app"), "dropped").await?;
    ensure!(kept == 100, "{kept} documents without an index");
    rig.finish().await.map(drop)
}

/// A hundred documents, of which half have expired long ago.
async fn fill(database: &Database, collection: &str, first: i32) -> Result<()> {
    let at = |n: i32| DateTime::from_millis(if n % 2 == 0 { 0 } else { 4_000_000_000_000 });
    let documents =
        (first..first + 100).map(|n| doc! { "_id": n, "at": at(n), "x": "x".repeat(100) });
    insert(database, collection, documents.collect()).await
}

async fn wait_for_count(database: &Database, collection: &str, number: u64) -> Result<()> {
    wait_until(
        &format!("{number} documents in {collection}"),
        DEADLINE,
        async || {
            let found = steps::count(database, collection).await?;
            Ok(match found == number {
                true => Look::Done(()),
                false => Look::NotYet(format!("{found} documents")),
            })
        },
    )
    .await
}

/// Creates a collection whose fields clients encrypt.
async fn create_encrypted(database: &Database, name: &str) -> Result<()> {
    let key = bson::Binary {
        subtype: bson::spec::BinarySubtype::Uuid,
        bytes: bson::Uuid::new().bytes().to_vec(),
    };
    let field = doc! { "keyId": key, "path": "number", "bsonType": "string" };
    run(
        database,
        doc! { "create": name, "encryptedFields": { "fields": [field] } },
    )
    .await
    .map(drop)
}

/// Queryable Encryption is refused by name, collection by collection: at the start, and in a running sync until the collection
/// is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn f110_collections_with_queryable_encryption_are_refused_by_name() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("CollectionNotSupported");
    rig.set_scope(|_, collection| collection != "secret");
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    create_encrypted(&source, "secret").await?;
    let all = steps::start_body(json!({}));
    steps::refused(&rig, "start", all, "CollectionNotSupported").await?;
    let secret = json!([{ "database": "app", "collections": ["secret"] }]);
    rig.host
        .start(json!({ "excludeNamespaces": secret }))
        .await?;
    rig.host.wait_can_commit().await?;
    create_encrypted(&source, "later").await?;
    let paused = rig.host.wait_for_state("PAUSED").await?;
    let warnings = paused["warnings"].to_string();
    ensure!(
        warnings.contains("CollectionNotSupported") && warnings.contains("app.later"),
        "{warnings}"
    );
    run(&source, doc! { "drop": "later" }).await?;
    rig.host.resume().await?;
    insert(&source, "c", vec![doc! { "_id": 2 }]).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}
