//! Collections and indexes equal those of the source after commit, and refuse no document before: findings 13, 14,
//! 17 to 20 and 25 of 0.2.0. With `TIDEGATE_BIN` they run on another host.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Binary, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use mongodb::Database;
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE, replica_set, rig::Options, wait::Look, wait_until};

use crate::steps::{count, insert, names, rig_to_die_at, run, update, wait_in_step};

async fn create_indexes(
    database: &Database,
    collection: &str,
    indexes: Vec<Document>,
) -> Result<()> {
    let command = doc! { "createIndexes": collection, "indexes": indexes };
    run(database, command).await.map(drop)
}

async fn begin(rig: &Rig, options: Value) -> Result<()> {
    rig.host.start(options).await?;
    wait_in_step(rig).await.map(drop)
}

// ---- 13: capped collections that the source's server fills

#[tokio::test]
async fn f13_collections_that_become_capped_arrive() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    for name in ["converted", "cloned", "both"] {
        let documents = (0..100).map(|n| doc! { "_id": n, "x": "x".repeat(100) });
        insert(&source, name, documents.collect()).await?;
    }
    begin(&rig, json!({})).await?;
    let size = 1 << 20;
    run(
        &source,
        doc! { "convertToCapped": "converted", "size": size },
    )
    .await?;
    let clone = doc! { "cloneCollectionAsCapped": "cloned", "toCollection": "clone", "size": size };
    run(&source, clone).await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    run(&source, doc! { "convertToCapped": "both", "size": size }).await?;
    let clone = doc! { "cloneCollectionAsCapped": "both", "toCollection": "again", "size": size };
    run(&source, clone).await?;
    for name in ["converted", "clone", "both", "again"] {
        let documents = (100..150).map(|n| doc! { "_id": n, "n": 0 });
        insert(&source, name, documents.collect()).await?;
        update(&source, name, 120, doc! { "$inc": { "n": 1 } }).await?;
    }
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    for name in ["converted", "clone", "both", "again"] {
        let there = count(&rig.destination_db("app"), name).await?;
        ensure!(there == 150, "{name} has {there} documents before commit");
    }
    rig.finish().await.map(drop)
}

// ---- 20: temporary collections

#[tokio::test]
async fn f20_temporary_collections_keep_nothing_from_going_on() -> Result<()> {
    let mut rig = Rig::start().await?;
    // A temporary collection that exists at the end is not kept.
    rig.set_scope(|_, collection| !collection.starts_with("left"));
    rig.allow_log("applyOps was run on the source");
    let source = rig.source_db("app");
    let documents = (0..100).map(|n| doc! { "_id": n, "group": n % 7 });
    insert(&source, "c", documents.collect()).await?;
    temporary(&rig, "before").await?;
    temporary(&rig, "left_before").await?;
    begin(&rig, json!({})).await?;
    temporary(&rig, "during").await?;
    temporary(&rig, "left_during").await?;
    let out = vec![
        doc! { "$group": { "_id": "$group" } },
        doc! { "$out": "grouped" },
    ];
    for _ in 0..2 {
        run(
            &source,
            doc! { "aggregate": "c", "pipeline": out.clone(), "cursor": {} },
        )
        .await?;
    }
    let map_reduce = doc! {
        "mapReduce": "c", "map": "function() { emit(this.group, 1); }",
        "reduce": "function(key, values) { return Array.sum(values); }", "out": "reduced",
    };
    run(&source, map_reduce).await?;
    for name in ["before", "during"] {
        let rename =
            doc! { "renameCollection": format!("app.{name}"), "to": format!("app.{name}_kept") };
        rig.source.admin(rename).await?;
    }
    wait_in_step(&rig).await?;
    ensure!(count(&rig.destination_db("app"), "grouped").await? == 7);
    rig.commit().await?;
    let there = names(&rig.destination_db("app")).await?;
    ensure!(
        !there.iter().any(|name| name.starts_with("left")),
        "{there:?}"
    );
    rig.close().await.map(drop)
}

/// The host dies when the temporary collection is dropped, before that is recorded: it is restored once more.
#[tokio::test]
async fn f20_a_temporary_collection_that_is_gone_already_is_no_failure() -> Result<()> {
    let mut rig = rig_to_die_at("commit_done").await?;
    rig.set_scope(|_, collection| collection != "left");
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    temporary(&rig, "left").await?;
    begin(&rig, json!({})).await?;
    rig.host.wait_can_commit().await?;
    // The answer may be lost with the host.
    let _ = rig.host.commit().await;
    rig.host.wait_for_end().await?;
    rig.host.restart().await?;
    let progress = rig.host.wait_for_state("COMMITTED").await?;
    let warnings = progress["warnings"].to_string();
    ensure!(!warnings.contains("Not restored"), "{warnings}");
    rig.close().await.map(drop)
}

/// A collection that is marked as temporary, as by `$out`. Only the oplog can set the mark.
async fn temporary(rig: &Rig, name: &str) -> Result<()> {
    let mut bytes = [ObjectId::new().bytes().as_slice(), &[0; 4]].concat();
    (bytes[6], bytes[8]) = (0x40, 0x80);
    let uuid = Binary {
        subtype: BinarySubtype::Uuid,
        bytes,
    };
    let id_index = doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" };
    let create = doc! { "create": name, "temp": true, "idIndex": id_index };
    let entry = doc! { "op": "c", "ns": "app.$cmd", "ui": uuid, "o": create };
    rig.source.admin(doc! { "applyOps": [entry] }).await?;
    insert(&rig.source_db("app"), name, vec![doc! { "_id": 1 }]).await
}

// ---- 14: clustered collections that expire

/// Documents of a clustered collection whose `_id`s are long past.
async fn expired(database: &Database, name: &str) -> Result<()> {
    let past = |n: i64| DateTime::from_millis(1_000_000_000_000 + n);
    let documents = (0..100).map(|n| doc! { "_id": past(n), "n": n });
    insert(database, name, documents.collect()).await
}

async fn clustered(database: &Database, name: &str, expiry: Option<i64>) -> Result<()> {
    let mut create =
        doc! { "create": name, "clusteredIndex": { "key": { "_id": 1 }, "unique": true } };
    if let Some(seconds) = expiry {
        create.insert("expireAfterSeconds", seconds);
    }
    run(database, create).await.map(drop)
}

#[tokio::test]
async fn f14_clustered_collections_expire_nothing_before_commit() -> Result<()> {
    // The destination looks for expired documents each second; the source never does.
    let with = |parameter: &str| {
        let options = replica_set::Options::default();
        options.argument("--setParameter").argument(parameter)
    };
    let rig = Rig::with(Options {
        source: with("ttlMonitorEnabled=false"),
        destination: with("ttlMonitorSleepSecs=1"),
        ..Options::default()
    })
    .await?;
    let source = rig.source_db("app");
    for (name, expiry) in [
        ("from_the_start", Some(1)),
        ("turned_on", None),
        ("turned_off", Some(1)),
    ] {
        clustered(&source, name, expiry).await?;
        expired(&source, name).await?;
    }
    begin(&rig, json!({})).await?;
    rig.host.pause().await?;
    let set = |name: &str, to: bson::Bson| doc! { "collMod": name, "expireAfterSeconds": to };
    run(&source, set("turned_on", 1_i64.into())).await?;
    run(&source, set("turned_off", "off".into())).await?;
    clustered(&source, "created", Some(1)).await?;
    expired(&source, "created").await?;
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let destination = rig.destination_db("app");
    for name in ["from_the_start", "turned_on", "turned_off", "created"] {
        let there = count(&destination, name).await?;
        ensure!(there == 100, "{name} has {there} documents");
    }
    // Expiry after commit is not the sync's.
    rig.commit().await?;
    for (name, expiry) in [
        ("from_the_start", true),
        ("turned_on", true),
        ("turned_off", false),
        ("created", true),
    ] {
        let listed = doc! { "listCollections": 1, "filter": { "name": name } };
        let listed = run(&destination, listed).await?.to_string();
        ensure!(
            listed.contains("\"expireAfterSeconds\"") == expiry,
            "{name}: {listed}"
        );
    }
    wait_until("expiry after commit", DEADLINE, async || {
        Ok(match count(&destination, "created").await? {
            0 => Look::Done(()),
            there => Look::NotYet(format!("{there} documents")),
        })
    })
    .await?;
    rig.abandon();
    Ok(())
}

// ---- 17: the simple collation in a collection that has another

/// Indexes of each kind with the simple collation, and some with the collection's.
fn simple() -> Vec<Document> {
    let kinds = [
        ("plain", doc! { "a": 1 }),
        ("text", doc! { "b": "text" }),
        ("flat", doc! { "c": "2d" }),
        ("sphere", doc! { "d": "2dsphere" }),
        ("hashed", doc! { "e": "hashed" }),
        ("any", doc! { "f.$**": 1 }),
    ];
    let simple = kinds.map(|(name, key)| {
        doc! { "key": key, "name": name, "collation": { "locale": "simple" } }
    });
    let mut indexes = Vec::from(simple);
    indexes.push(doc! { "key": { "a": 1 }, "name": "own" });
    indexes.push(doc! { "key": { "a": 1 }, "name": "other", "collation": { "locale": "de" } });
    indexes.push(
        doc! { "key": { "g": 1 }, "name": "unique", "collation": { "locale": "simple" }, "unique": true },
    );
    indexes
}

async fn simple_indexes_arrive(options: Value) -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    for name in ["before", "during"] {
        run(
            &source,
            doc! { "create": name, "collation": { "locale": "fr" } },
        )
        .await?;
        let documents = (0..50).map(|n| doc! { "_id": n, "a": n, "g": format!("{n}") });
        insert(&source, name, documents.collect()).await?;
    }
    create_indexes(&source, "before", simple()).await?;
    begin(&rig, options).await?;
    create_indexes(&source, "during", simple()).await?;
    wait_in_step(&rig).await?;
    let listed = run(&rig.destination_db("app"), doc! { "listIndexes": "during" }).await?;
    let there = listed
        .get_document("cursor")?
        .get_array("firstBatch")?
        .len();
    ensure!(there == simple().len() + 1, "{there} indexes before commit");
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f17_simple_indexes_arrive() -> Result<()> {
    simple_indexes_arrive(json!({})).await
}

#[tokio::test]
async fn f17_simple_indexes_arrive_that_are_built_first() -> Result<()> {
    simple_indexes_arrive(json!({ "buildIndexes": "beforeDataCopy" })).await
}

// ---- 18: several indexes on the same key

fn on_one_key(reversed: bool) -> Vec<Document> {
    let name = |name: &str| match reversed {
        true => format!("z{name}"),
        false => name.to_owned(),
    };
    vec![
        doc! { "key": { "a": 1 }, "name": "n_plain" },
        doc! { "key": { "a": 1 }, "name": name("unique"), "unique": true },
        doc! { "key": { "a": 1 }, "name": "n_sparse", "sparse": true },
        doc! { "key": { "a": 1 }, "name": name("unique_sparse"), "sparse": true, "unique": true, "hidden": true },
        doc! { "key": { "a": 1 }, "name": "n_partial", "partialFilterExpression": { "b": 1 }, "expireAfterSeconds": 9_999_999 },
        doc! { "key": { "a": 1 }, "name": name("unique_partial"), "partialFilterExpression": { "b": 1 }, "unique": true },
    ]
}

#[tokio::test]
async fn f18_all_indexes_on_one_key_arrive() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    for (name, reversed) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        insert(&source, name, vec![doc! { "_id": 1, "a": 1 }]).await?;
        if ["a", "b"].contains(&name) {
            create_indexes(&source, name, on_one_key(reversed)).await?;
        }
    }
    begin(&rig, json!({})).await?;
    create_indexes(&source, "c", on_one_key(true)).await?;
    for index in on_one_key(false).into_iter().rev() {
        create_indexes(&source, "d", vec![index]).await?;
    }
    let drop = doc! { "dropIndexes": "c", "index": "n_plain" };
    run(&source, drop).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(|_| ())
}

// ---- 19: each restoration by itself

#[tokio::test]
async fn f19_an_index_of_ids_of_version_1_arrives() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let index = doc! { "key": { "_id": 1 }, "name": "_id_", "v": 1 };
    run(&source, doc! { "create": "before", "idIndex": &index }).await?;
    begin(&rig, json!({})).await?;
    run(&source, doc! { "create": "during", "idIndex": &index }).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Documents that violate an index are written to the destination by another hand.
#[tokio::test]
async fn f19_settings_are_restored_beside_one_that_cannot_be() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("not restored");
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1, "at": 1 }]).await?;
    let index = doc! { "key": { "at": 1 }, "name": "i", "unique": true, "hidden": true, "expireAfterSeconds": 1_000_000 };
    create_indexes(&source, "c", vec![index]).await?;
    begin(&rig, json!({ "verification": false })).await?;
    let destination = rig.destination_db("app");
    insert(&destination, "c", vec![doc! { "_id": 2, "at": 1 }]).await?;
    rig.commit().await?;
    let progress = rig.host.progress().await?;
    let warnings = progress["warnings"].to_string();
    ensure!(warnings.contains("index i of app.c"), "{warnings}");
    let listed = run(&destination, doc! { "listIndexes": "c" }).await?;
    let found = listed.get_document("cursor")?.get_array("firstBatch")?;
    let found = found.last().and_then(|index| index.as_document());
    let found = found.context("no index")?;
    ensure!(
        found.get_bool("hidden")? && found.get_i32("expireAfterSeconds")? == 1_000_000,
        "{found}"
    );
    rig.abandon();
    Ok(())
}

/// All other differences on the destination are named.
#[tokio::test]
async fn f19_what_differs_after_commit_is_named() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("not restored");
    let source = rig.source_db("app");
    let collation = doc! { "locale": "fr" };
    run(&source, doc! { "create": "c", "collation": collation }).await?;
    begin(&rig, json!({})).await?;
    // Its twin, without the collation, takes its place by another hand.
    let destination = rig.destination_db("app");
    let uuid = |listed: Document| -> Result<bson::Bson> {
        let listed = listed
            .get_document("cursor")?
            .get_array("firstBatch")?
            .clone();
        let first = listed.first().and_then(|entry| entry.as_document());
        let info = first.context("listed")?.get_document("info")?;
        Ok(info.get("uuid").context("a UUID")?.clone())
    };
    let listed = run(
        &destination,
        doc! { "listCollections": 1, "filter": { "name": "c" } },
    )
    .await?;
    let uuid = uuid(listed)?;
    run(&destination, doc! { "drop": "c" }).await?;
    let info = doc! { "op": "c", "ns": "app.$cmd", "ui": uuid, "o": { "create": "c" } };
    rig.destination.admin(doc! { "applyOps": [info] }).await?;
    rig.commit().await?;
    let warnings = rig.host.progress().await?["warnings"].to_string();
    ensure!(
        warnings.contains("option collation of app.c differs"),
        "{warnings}"
    );
    rig.abandon();
    Ok(())
}

// ---- 25: an index build while a node is down

#[tokio::test]
async fn f25_an_index_is_built_while_a_node_is_down() -> Result<()> {
    let mut rig = Rig::with(Options {
        destination: replica_set::Options::default().of_three(),
        ..Options::default()
    })
    .await?;
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1, "a": 1 }]).await?;
    begin(&rig, json!({})).await?;
    rig.destination.kill()?;
    rig.destination.wait_for_primary().await?;
    create_indexes(&source, "c", vec![doc! { "key": { "a": 1 }, "name": "a" }]).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}
