//! Indexes: relaxed while the sync runs, and those of the source after commit.

use anyhow::{Result, ensure};
use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use serde_json::json;
use support::{Rig, compare, host::DEADLINE, mongod, process, replica_set, wait::Look, wait_until};

use crate::steps::{
    self, delete, go_on_and_die, insert, metadata, rig_to_die_at, run, start_and_die, update,
    wait_in_step,
};

async fn create_indexes(
    database: &Database,
    collection: &str,
    indexes: Vec<Document>,
) -> Result<()> {
    run(
        database,
        doc! { "createIndexes": collection, "indexes": indexes },
    )
    .await?;
    Ok(())
}

async fn indexes(database: &Database, collection: &str) -> Result<Vec<Document>> {
    Ok(database
        .run_cursor_command(doc! { "listIndexes": collection })
        .await?
        .try_collect()
        .await?)
}

async fn has_index(database: &Database, collection: &str, name: &str) -> Result<bool> {
    Ok(indexes(database, collection)
        .await?
        .iter()
        .any(|index| index.get_str("name").is_ok_and(|its| its == name)))
}

/// An index of every kind.
fn every_kind() -> Vec<Document> {
    vec![
        doc! { "key": { "u": 1 }, "name": "unique", "unique": true },
        doc! { "key": { "u": -1 }, "name": "not unique on the same field" },
        doc! { "key": { "u": 1, "s": -1 }, "name": "unique of two", "unique": true, "sparse": true },
        doc! { "key": { "p": 1 }, "name": "partial and unique", "unique": true,
        "partialFilterExpression": { "z": { "$gt": 5 }, "a": { "$exists": true } } },
        doc! { "key": { "at": 1 }, "name": "ttl", "expireAfterSeconds": 100_000 },
        doc! { "key": { "at2": 1 }, "name": "ttl, at once", "expireAfterSeconds": 0, "hidden": true },
        doc! { "key": { "h": 1 }, "name": "hidden", "hidden": true },
        doc! { "key": { "hu": 1 }, "name": "hidden and unique", "hidden": true, "unique": true },
        doc! { "key": { "t": "text", "s": "text" }, "name": "text", "weights": { "t": 3, "s": 9 },
        "default_language": "german", "language_override": "lang" },
        doc! { "key": { "g": "2dsphere" }, "name": "sphere", "2dsphereIndexVersion": 2 },
        doc! { "key": { "g2": "2d" }, "name": "plane", "min": -500.0, "max": 500.0, "bits": 20 },
        doc! { "key": { "_id": "hashed" }, "name": "hashed id" },
        doc! { "key": { "k": "hashed", "s": 1 }, "name": "hashed and more" },
        doc! { "key": { "s": 1 }, "name": "collation", "collation": { "locale": "de", "strength": 1 } },
        doc! { "key": { "s": 1 }, "name": "the same without" },
        doc! { "key": { "$**": 1 }, "name": "wildcard", "wildcardProjection": { "w.z": 1, "w.a": 1 } },
        doc! { "key": { "n.x": 1, "n.y": -1.5 }, "name": "nested", "background": true },
    ]
}

fn document(n: i32) -> Document {
    doc! {
        "_id": n, "u": n, "s": format!("s {n}"), "p": n % 10, "z": if n < 10 { n } else { 0 }, "a": 1,
        "at": DateTime::now(), "h": n, "hu": n, "t": "Haus und Garten", "lang": "english", "k": n,
        "g": { "type": "Point", "coordinates": [f64::from(n), 1.0] }, "g2": [n, n],
        "w": { "z": n, "a": n }, "n": [{ "x": 1, "y": n }],
    }
}

#[tokio::test]
async fn s_indexes_of_every_kind() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    let source = rig.source_db("app");
    insert(&source, "before", (0..50).map(document).collect()).await?;
    create_indexes(&source, "before", every_kind()).await?;
    insert(&source, "changed", (0..50).map(document).collect()).await?;
    create_indexes(&source, "changed", every_kind()).await?;
    insert(&source, "during", (0..50).map(document).collect()).await?;
    start_and_die(&mut rig, json!({})).await?;

    create_indexes(&source, "during", every_kind()).await?;
    for name in ["unique", "ttl", "text", "wildcard", "hidden and unique"] {
        run(&source, doc! { "dropIndexes": "changed", "index": name }).await?;
    }
    // The same names and keys, other options.
    create_indexes(&source, "changed", vec![
        doc! { "key": { "u": 1 }, "name": "unique", "sparse": true },
        doc! { "key": { "at": 1 }, "name": "ttl" },
        doc! { "key": { "hu": 1 }, "name": "hidden and unique", "partialFilterExpression": { "hu": { "$gt": 3 } } },
    ])
    .await?;
    let modify =
        async |index: Document| run(&source, doc! { "collMod": "changed", "index": index }).await;
    modify(doc! { "name": "ttl, at once", "hidden": false, "expireAfterSeconds": 1_000_000 })
        .await?;
    modify(doc! { "name": "the same without", "hidden": true }).await?;
    modify(doc! { "keyPattern": { "h": 1 }, "hidden": false }).await?;
    go_on_and_die(&mut rig, "ddl_applied:3").await?;
    run(
        &source,
        doc! { "dropIndexes": "during", "index": ["ttl", "nested"] },
    )
    .await?;
    create_indexes(&source, "new", every_kind()).await?;
    insert(&source, "new", (0..5).map(document).collect()).await?;
    run(&source, doc! { "dropIndexes": "new", "index": "*" }).await?;
    create_indexes(&source, "new", every_kind()).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    // Nothing may refuse or expire a document before commit.
    for collection in ["before", "during", "changed", "new"] {
        for index in indexes(&rig.destination_db("app"), collection).await? {
            let relaxed = !index.contains_key("unique") || index.get_bool("clustered").is_ok();
            ensure!(
                relaxed && !index.contains_key("hidden"),
                "{collection}: {index}"
            );
            ensure!(
                index
                    .get("expireAfterSeconds")
                    .is_none_or(|after| *after == Bson::Int32(i32::MAX)),
                "{index}"
            );
        }
    }
    let compared = rig.finish().await?;
    ensure!(compared.indexes > 60, "{compared:?}");
    Ok(())
}

#[tokio::test]
async fn s_indexes_before_the_copy() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    insert(&source, "c", (0..50).map(document).collect()).await?;
    create_indexes(&source, "c", every_kind()).await?;
    start_and_die(&mut rig, json!({ "buildIndexes": "beforeDataCopy" })).await?;
    ensure!(
        has_index(&rig.destination_db("app"), "c", "text").await?,
        "not built before the copy"
    );
    run(&source, doc! { "dropIndexes": "c", "index": "plane" }).await?;
    insert(&source, "more", (0..50).map(document).collect()).await?;
    create_indexes(&source, "more", every_kind()).await?;
    rig.host.restart().await?;
    rig.finish().await?;
    Ok(())
}

/// Only the index on `_id` is on the destination, after commit too.
#[tokio::test]
async fn s_indexes_never() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    insert(&source, "c", (0..50).map(document).collect()).await?;
    create_indexes(&source, "c", every_kind()).await?;
    rig.host.start(json!({ "buildIndexes": "never" })).await?;
    rig.host.wait_can_commit().await?;
    insert(&source, "later", (0..50).map(document).collect()).await?;
    create_indexes(&source, "later", every_kind()).await?;
    run(&source, doc! { "dropIndexes": "later", "index": "text" }).await?;
    rig.commit().await?;
    let found = compare::compare(
        rig.source.client(),
        rig.destination.client(),
        &|_: &str, _: &str| true,
    )
    .await?;
    let missing =
        |what: &str| what.starts_with("index ") && what.ends_with(" is not on the destination");
    let others: Vec<_> = found
        .differences
        .iter()
        .filter(|difference| !missing(&difference.what))
        .collect();
    ensure!(others.is_empty(), "more than indexes differs: {others:?}");
    ensure!(
        found.differences.len() == 2 * every_kind().len() - 1,
        "{found:?}"
    );
    for collection in ["c", "later"] {
        ensure!(indexes(&rig.destination_db("app"), collection).await?.len() == 1);
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// Unique values move between documents, so that out of order two documents would share a value at times.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn s29_unique_values_swapped() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "c",
        (0..40)
            .map(|n| doc! { "_id": n, "u": n, "v": format!("v{n}") })
            .collect(),
    )
    .await?;
    create_indexes(&source, "c", vec![
        doc! { "key": { "u": 1 }, "name": "u", "unique": true },
        doc! { "key": { "v": 1 }, "name": "v", "unique": true, "collation": { "locale": "en", "strength": 2 } },
    ])
    .await?;
    let swap = async |step: i32| {
        for n in (0..40).step_by(2) {
            let other = (n + step) % 40;
            let read = async |id: i32| {
                steps::find(&source, "c", id)
                    .await
                    .map(Option::unwrap_or_default)
            };
            let (ours, theirs) = (read(n).await?, read(other).await?);
            let (u, w) = (ours.get_i32("u")?, theirs.get_i32("u")?);
            update(
                &source,
                "c",
                n,
                doc! { "$set": { "u": -1, "v": "between" } },
            )
            .await?;
            update(
                &source,
                "c",
                other,
                doc! { "$set": { "u": u, "v": format!("V{u}") } },
            )
            .await?;
            update(
                &source,
                "c",
                n,
                doc! { "$set": { "u": w, "v": format!("v{w}") } },
            )
            .await?;
        }
        anyhow::Ok(())
    };
    start_and_die(&mut rig, json!({})).await?;
    swap(1).await?;
    delete(&source, "c", 0).await?;
    insert(
        &source,
        "c",
        vec![doc! { "_id": "again", "u": 1, "v": "V1" }],
    )
    .await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    delete(&source, "c", "again").await?;
    insert(&source, "c", vec![doc! { "_id": 0, "u": 1, "v": "v1" }]).await?;
    swap(3).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    swap(5).await?;
    wait_in_step(&rig).await?;
    swap(7).await?;
    go_on_and_die_in_commit(&mut rig).await?;
    rig.host.restart().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    // Unique is unique again: the destination refuses a duplicate.
    let second = rig
        .destination_db("app")
        .collection::<Document>("c")
        .insert_one(doc! { "_id": "x", "u": 1 })
        .await;
    ensure!(second.is_err(), "the index is not unique");
    ensure!(
        metadata(&rig, "session").await?[0]
            .get_array("notRestored")?
            .is_empty()
    );
    rig.close().await?;
    Ok(())
}

/// Commits, and dies between `prepareUnique` and `unique`.
async fn go_on_and_die_in_commit(rig: &mut Rig) -> Result<()> {
    rig.host.restart_to_be_killed(Some("commit_unique")).await?;
    rig.host.wait_can_commit().await?;
    let _ = rig.host.commit().await;
    rig.host.wait_for_end().await?;
    Ok(())
}

/// Indexes that cannot be made unique are named, and everything else is restored.
#[tokio::test]
async fn s30_unique_violation_is_reported_by_name() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("not restored");
    let source = rig.source_db("app");
    insert(
        &source,
        "c",
        (0..5).map(|n| doc! { "_id": n, "u": n, "v": n }).collect(),
    )
    .await?;
    let unique = |field: &str| doc! { "key": { field: 1 }, "name": field, "unique": true };
    create_indexes(&source, "c", vec![unique("u"), unique("v")]).await?;
    rig.host.start(json!({ "verification": false })).await?;
    rig.host.wait_can_commit().await?;
    // A foreign write on the destination.
    insert(
        &rig.destination_db("app"),
        "c",
        vec![doc! { "_id": "extra", "u": 1, "v": 100 }],
    )
    .await?;
    rig.commit().await?;
    let warnings = rig.host.progress().await?["warnings"].to_string();
    ensure!(
        warnings.contains("index u of app.c") && !warnings.contains("index v of app.c"),
        "{warnings}"
    );
    let unique = async |name: &str| {
        let all = indexes(&rig.destination_db("app"), "c").await?;
        let named = all
            .iter()
            .find(|index| index.get_str("name").is_ok_and(|its| its == name));
        anyhow::Ok(named.is_some_and(|index| index.get_bool("unique").unwrap_or(false)))
    };
    ensure!(unique("v").await? && !unique("u").await?);
    // It takes writes as before.
    insert(
        &rig.destination_db("app"),
        "c",
        vec![doc! { "_id": "another", "u": 1, "v": 101 }],
    )
    .await?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

// ---- a rolling build

/// Builds an index on the source's member while it runs alone, as a rolling build does on each member in turn: no change
/// stream carries it.
async fn build_alone(rig: &mut Rig, index: Document) -> Result<()> {
    let options = rig.source.admin(doc! { "getCmdLineOpts": 1 }).await?;
    let storage = options.get_document("parsed")?.get_document("storage")?;
    let port = process::free_port()?;
    rig.source.stop().await?;
    let mut command = mongod::command(&mongod::obtain()?);
    command
        .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--port"])
        .arg(port.to_string())
        .args(["--dbpath", storage.get_str("dbPath")?])
        .args(["--wiredTigerCacheSizeGB", "0.25"])
        .stdout(std::process::Stdio::null());
    let mut alone = process::Process::spawn(&mut command)?;
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let client = replica_set::client(&uri).await?;
    wait_until("the member answers", DEADLINE, async || {
        let answer = client
            .database("admin")
            .run_command(doc! { "ping": 1 })
            .await;
        Ok(match answer {
            Ok(_) => Look::Done(()),
            Err(error) => Look::NotYet(error.to_string()),
        })
    })
    .await?;
    create_indexes(&client.database("app"), "c", vec![index]).await?;
    // The server closes the connection instead of answering.
    let _ = client
        .database("admin")
        .run_command(doc! { "shutdown": 1 })
        .await;
    alone.wait("the member ends", DEADLINE).await?;
    rig.source.restart().await
}

/// An index that a rolling build has made on the source is on the destination after the commit, though no event tells of it.
#[tokio::test]
async fn f111_an_index_of_a_rolling_build_arrives_at_the_commit() -> Result<()> {
    let mut rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", (0..50).map(document).collect()).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.terminate().await?;
    build_alone(
        &mut rig,
        doc! { "key": { "u": 1 }, "name": "rolled", "unique": true },
    )
    .await?;
    rig.host.restart().await?;
    update(&rig.source_db("app"), "c", 1, doc! { "$set": { "h": 2 } }).await?;
    wait_in_step(&rig).await?;
    ensure!(!has_index(&rig.destination_db("app"), "c", "rolled").await?);
    rig.commit().await?;
    ensure!(has_index(&rig.destination_db("app"), "c", "rolled").await?);
    rig.close().await?;
    Ok(())
}
