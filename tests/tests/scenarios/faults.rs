//! Servers that answer with errors, or with several at once.

use anyhow::{Result, ensure};
use bson::{Document, doc};
use futures::TryStreamExt;
use serde_json::json;
use support::{Rig, host::DEADLINE, replica_set, rig::Options, wait::Look, wait_until};

use crate::steps::{
    self, fail_command, find, heal, insert, rig_with_death, start_and_die, update,
    wait_for_document, wait_in_step,
};

fn destination_with_fail_points() -> Options {
    Options {
        destination: replica_set::Options::with_fail_points(),
        ..Options::default()
    }
}

/// A transient write concern error, on commands against a namespace.
fn not_durable(command: &str) -> Document {
    let error = doc! { "code": 64, "errmsg": "waiting for replication timed out" };
    doc! { "failCommands": [command], "namespace": "app.c", "writeConcernError": error }
}

/// A batch meets documents that are there already, and its write concern is not satisfied.
#[tokio::test]
async fn s24_write_concern_error_with_duplicate_keys() -> Result<()> {
    let mut rig = rig_with_death(destination_with_fail_points(), "copy_batch_inserted").await?;
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(
        &source,
        "c",
        (0..100).map(|n| doc! { "_id": n, "n": n }).collect(),
    )
    .await?;
    start_and_die(&mut rig, json!({ "verification": false })).await?;
    ensure!(
        steps::count(&destination, "c").await? == 100,
        "all are copied, and that is not persisted"
    );
    // As if they had not been: only the copy can bring them back.
    destination
        .collection::<Document>("c")
        .delete_many(doc! { "_id": { "$mod": [3, 0] } })
        .await?;
    fail_command(&rig.destination, doc! { "times": 2 }, not_durable("insert")).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    ensure!(
        steps::count(&destination, "c").await? == 100,
        "documents are missing after the copy"
    );

    // The same while change events are applied: inserts of documents that are there and that are not.
    rig.host.pause().await?;
    insert(
        &source,
        "c",
        (100..200).map(|n| doc! { "_id": n, "n": n }).collect(),
    )
    .await?;
    insert(
        &destination,
        "c",
        (100..200)
            .step_by(2)
            .map(|n| doc! { "_id": n, "n": "stale" })
            .collect(),
    )
    .await?;
    for n in 0..50 {
        update(&source, "c", n, doc! { "$set": { "z": n, "b": 1 } }).await?;
    }
    source
        .collection::<Document>("c")
        .delete_many(doc! { "_id": { "$gte": 50, "$lt": 60 } })
        .await?;
    for command in ["insert", "update", "delete"] {
        fail_command(&rig.destination, doc! { "times": 2 }, not_durable(command)).await?;
        rig.host.resume().await?;
        wait_in_step(&rig).await?;
        rig.host.pause().await?;
        heal(&rig.destination).await?;
        rig.compare().await?;
        update(&source, "c", 1, doc! { "$inc": { "n": 1 } }).await?;
        insert(
            &source,
            "c",
            vec![doc! { "_id": format!("before {command}") }],
        )
        .await?;
        source
            .collection::<Document>("c")
            .delete_one(doc! { "_id": { "$gte": 60, "$lt": 100 } })
            .await?;
    }
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// Every kind of transient refusal on both sides delays a sync and changes nothing.
#[tokio::test]
async fn s24_transient_errors_are_repeated() -> Result<()> {
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..destination_with_fail_points()
    };
    let rig = Rig::with(options).await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "c",
        (0..40)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(200_000) })
            .collect(),
    )
    .await?;
    let fails =
        |command: &str| doc! { "failCommands": [command], "namespace": "app.c", "errorCode": 189 };
    fail_command(&rig.source, doc! { "times": 2 }, fails("getMore")).await?;
    fail_command(&rig.destination, doc! { "times": 2 }, fails("insert")).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    for command in ["update", "delete"] {
        let closes =
            doc! { "failCommands": [command], "namespace": "app.c", "closeConnection": true };
        fail_command(&rig.destination, doc! { "times": 2 }, closes).await?;
        for n in 0..20 {
            update(&source, "c", n, doc! { "$inc": { "n": 1 } }).await?;
        }
        source
            .collection::<Document>("c")
            .delete_one(doc! { "_id": { "$gte": 20 } })
            .await?;
        insert(&source, "c", vec![doc! { "_id": command }]).await?;
        wait_for_document(&rig, "app", "c", command).await?;
        wait_in_step(&rig).await?;
    }
    for n in 0..3 {
        kill_stream(&rig).await?;
        insert(
            &source,
            "c",
            vec![doc! { "_id": format!("behind kill {n}") }],
        )
        .await?;
        wait_in_step(&rig).await?;
    }
    ensure!(find(&rig.destination_db("app"), "c", 20).await?.is_none());
    rig.finish().await?;
    Ok(())
}

/// Kills the cursors of all change streams on the source, as an administrator may.
async fn kill_stream(rig: &Rig) -> Result<()> {
    wait_until("the stream's cursor is killed", DEADLINE, async || {
        let pipeline = vec![
            doc! { "$currentOp": { "allUsers": true, "idleCursors": true } },
            doc! { "$match": { "ns": "admin.$cmd.aggregate", "cursor.cursorId": { "$exists": true } } },
        ];
        let operations = rig.source.client().database("admin").aggregate(pipeline).await?;
        let operations: Vec<Document> = operations.try_collect().await?;
        let cursors = operations.iter().filter_map(|operation| {
            operation.get_document("cursor").ok()?.get_i64("cursorId").ok()
        });
        let cursors: Vec<i64> = cursors.collect();
        let kill = doc! { "killCursors": "$cmd.aggregate", "cursors": &cursors };
        let killed = match cursors.is_empty() {
            true => return Ok(Look::NotYet(format!("{operations:?}"))),
            false => rig.source.admin(kill).await?,
        };
        Ok(match killed.get_array("cursorsKilled")?.is_empty() {
            true => Look::NotYet(killed.to_string()),
            false => Look::Done(()),
        })
    })
    .await
}
