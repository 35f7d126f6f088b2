//! Updates that other tools could not apply: large arrays, thousands of fields, names that the oplog uses itself, and
//! documents that a validator refuses.

use anyhow::{Result, ensure};
use bson::{Bson, Document, bson, doc};
use mongodb::Database;
use serde_json::json;
use support::{
    Rig,
    host::{DEADLINE, text},
    replica_set,
    rig::Options,
};

use crate::steps::{find, insert, rig_to_die_at, run, start_and_die, update, wait_in_step};

/// Runs `change` before the start, behind the copy and in step, and compares both clusters at the end.
async fn in_each_phase(rig: Rig, change: impl AsyncFn(&Database, i32) -> Result<()>) -> Result<()> {
    let mut rig = rig;
    let app = rig.source_db("app");
    change(&app, 0).await?;
    start_and_die(&mut rig, json!({})).await?;
    change(&app, 1).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    change(&app, 2).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn s02_fifty_documents_with_large_nested_arrays_are_truncated_and_written() -> Result<()> {
    let rig = rig_to_die_at("copy_batch_inserted").await?;
    let row = |n: i32| doc! { "n": n, "tags": [n, n + 1, n + 2], "note": "x".repeat(20) };
    let rows = || (0..1_500).map(row).collect::<Vec<_>>();
    let documents = (0..50).map(|id| doc! { "_id": id, "rows": { "list": rows() }, "z": 1 });
    insert(&rig.source_db("app"), "c", documents.collect()).await?;
    in_each_phase(rig, async |app, phase| {
        for id in 0..50 {
            let length = 1_400 - 300 * phase;
            let cut = bson!([{ "$set": { "rows.list": { "$slice": ["$rows.list", length] }, "z": phase } }]);
            change(app, id, cut).await?;
            let path = |row: i32, field: &str| format!("rows.list.{row}.{field}");
            let mut fields = Document::new();
            for row in 0..40 {
                fields.insert(path(row * 7, "n"), phase);
                fields.insert(path(row * 7 + 1, "tags.1"), phase);
            }
            change(app, id, bson!({ "$set": fields })).await?;
            let odd = bson!([{ "$set": { "rows.list": { "$filter": {
                "input": "$rows.list", "cond": { "$ne": ["$$this.n", 3] } } } } }]);
            change(app, id, odd).await?;
        }
        Ok(())
    })
    .await
}

async fn change(app: &Database, id: i32, change: Bson) -> Result<()> {
    run(
        app,
        doc! { "update": "c", "updates": [{ "q": { "_id": id }, "u": change }] },
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s03_an_emptied_array_is_written_at_0_and_thousands_of_fields_are_set() -> Result<()> {
    let rig = rig_to_die_at("copy_batch_inserted").await?;
    let documents = (0..20).map(|id| doc! { "_id": id, "a": { "list": [[1, 2], [3, 4]] } });
    insert(&rig.source_db("app"), "c", documents.collect()).await?;
    in_each_phase(rig, async |app, phase| {
        for id in 0..20 {
            change(
                app,
                id,
                bson!([{ "$set": { "a.list": { "$slice": ["$a.list", 1] } } }]),
            )
            .await?;
            // In one update: the array inside is emptied and written at 0.
            change(
                app,
                id,
                bson!({ "$push": { "a.list.0": { "$each": [phase], "$slice": 0 } } }),
            )
            .await?;
            change(
                app,
                id,
                bson!({ "$set": { "a.list.0.0": phase, "a.list.1": [phase] } }),
            )
            .await?;
            let fields = (0..3_000).map(|n| (format!("f{n}.g"), Bson::Int32(n + phase)));
            change(app, id, bson!({ "$set": fields.collect::<Document>() })).await?;
        }
        Ok(())
    })
    .await
}

/// `$v` is the name by which the oplog tells the forms of an update.
#[tokio::test(flavor = "multi_thread")]
async fn s07_replacements_with_a_field_named_as_the_oplogs_version() -> Result<()> {
    let rig = rig_to_die_at("copy_batch_inserted").await?;
    let documents = (0..30).map(|id| doc! { "_id": id, "a": 1 });
    insert(&rig.source_db("app"), "c", documents.collect()).await?;
    in_each_phase(rig, async |app, phase| {
        for id in 0..10 {
            for (offset, version) in [(0, 5), (10, 1), (20, 3)] {
                let document = bson!({ "b": phase, "$v": version, "o": id });
                let replace = bson!([{ "$replaceWith": { "$literal": document } }]);
                change(app, id + offset, replace).await?;
            }
            // A delta of a document that has the field.
            change(app, id, bson!({ "$set": { "later": phase } })).await?;
            insert(
                app,
                "c",
                vec![doc! { "_id": 100 * (phase + 1) + id, "$v": 2, "diff": 1 }],
            )
            .await?;
        }
        Ok(())
    })
    .await
}

/// MongoDB 6.0 writes this replacement into its oplog in the form of a delta, so its own secondaries and change streams
/// do not have it. The verification finds it, and the repair brings what the primary has.
#[tokio::test(flavor = "multi_thread")]
async fn s07_a_replacement_that_the_oplog_holds_as_a_delta_is_found_and_repaired() -> Result<()> {
    let mut rig = Rig::start().await?;
    for text in ["a document differs", "mismatches"] {
        rig.allow_log(text);
    }
    let app = rig.source_db("app");
    insert(&app, "c", vec![doc! { "_id": 1, "a": 1 }]).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let document = bson!({ "$v": 2, "diff": { "u": { "x": 1 } } });
    change(
        &app,
        1,
        bson!([{ "$replaceWith": { "$literal": document } }]),
    )
    .await?;
    let differs = |progress: &serde_json::Value| progress["verification"]["mismatches"] == 1;
    rig.host.wait_until("a mismatch", DEADLINE, differs).await?;
    let answer = rig
        .host
        .call("POST", "/api/v1/verification/repair", "{}")
        .await?;
    ensure!(answer.status == 200, "{answer:?}");
    let equal = |progress: &serde_json::Value| progress["verification"]["mismatches"] == 0;
    rig.host.wait_until("a repair", DEADLINE, equal).await?;
    rig.finish().await.map(drop)
}

/// Documents older than a validator, and those that the level `moderate` lets pass, are copied and changed.
#[tokio::test(flavor = "multi_thread")]
async fn s16_a_validator_that_is_younger_than_documents_refuses_nothing() -> Result<()> {
    let rig = rig_to_die_at("copy_batch_inserted").await?;
    let app = rig.source_db("app");
    let documents = || {
        (0..50)
            .map(|id| doc! { "_id": id, "n": "no number" })
            .collect()
    };
    for (collection, level) in [("c", "moderate"), ("strict", "strict")] {
        insert(&app, collection, documents()).await?;
        let validator = doc! { "n": { "$type": "int" } };
        run(
            &app,
            doc! { "collMod": collection, "validator": validator, "validationLevel": level },
        )
        .await?;
    }
    in_each_phase(rig, async |app, phase| {
        for id in 0..50 {
            update(app, "c", id, doc! { "$set": { "z": phase } }).await?;
        }
        let bypassed = doc! { "insert": "strict", "documents": [{ "_id": 1_000 + phase, "n": "neither" }],
            "bypassDocumentValidation": true };
        run(app, bypassed).await?;
        let set = bson!({ "$set": { "later": phase } });
        let updated = doc! { "update": "strict", "updates": [{ "q": { "_id": phase }, "u": set }],
            "bypassDocumentValidation": true };
        run(app, updated).await?;
        Ok(())
    })
    .await
}

/// An index that is being built when the catalog is read is on the destination if the build succeeds, and not if it fails.
#[tokio::test(flavor = "multi_thread")]
async fn s28_index_builds_that_are_under_way_at_the_start() -> Result<()> {
    let rig = Rig::with(Options {
        source: replica_set::Options::with_fail_points(),
        ..Options::default()
    })
    .await?;
    let app = rig.source_db("app");
    for collection in ["succeeds", "fails"] {
        let documents = (0..100).map(|id| doc! { "_id": id, "n": 1, "m": id });
        insert(&app, collection, documents.collect()).await?;
    }
    let hold = async |mode: &str| {
        let point = doc! { "configureFailPoint": "hangAfterStartingIndexBuild", "mode": mode };
        rig.source.admin(point).await
    };
    hold("alwaysOn").await?;
    let build = |collection: &'static str, index: Document| {
        let app = app.clone();
        tokio::spawn(async move {
            app.run_command(doc! { "createIndexes": collection, "indexes": [index] })
                .await
        })
    };
    let good = build("succeeds", doc! { "key": { "m": 1 }, "name": "m" });
    let bad = build(
        "fails",
        doc! { "key": { "n": 1 }, "name": "n", "unique": true },
    );
    for collection in ["succeeds", "fails"] {
        support::wait_until("a build", DEADLINE, async || {
            let listed = app.run_command(doc! { "listIndexes": collection }).await?;
            let names = listed
                .get_document("cursor")?
                .get_array("firstBatch")?
                .len();
            Ok(match names {
                2.. => support::wait::Look::Done(()),
                _ => support::wait::Look::NotYet(format!("{listed}")),
            })
        })
        .await?;
    }
    rig.host.start(json!({})).await?;
    rig.host
        .wait_until("the copy", DEADLINE, |progress| {
            text(progress, "info") == "change event application"
        })
        .await?;
    hold("off").await?;
    ensure!(good.await?.is_ok(), "the build of the index fails");
    ensure!(bad.await?.is_err(), "an index with duplicates is built");
    ensure!(find(&app, "succeeds", 1).await?.is_some());
    rig.finish().await.map(drop)
}
