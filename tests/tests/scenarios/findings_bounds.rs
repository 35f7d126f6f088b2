//! Nothing stops for good, and nothing takes for ever: findings 21 and 33 of 0.2.0. With `TIDEGATE_BIN` they run on another
//! host.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bson::{Bson, Document, doc};
use mongodb::{Database, options::WriteConcern};
use serde_json::{Value, json};
use support::{
    Rig,
    host::{DEADLINE, number},
    proxy::{Then, commands},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::steps::{insert, refused, rig_with_death, run, start_and_die, update, wait_in_step};

// ---- 21: indexes that refuse a document of a later time

/// An index, a value of `v` that it takes, and fields that it refuses.
fn refusing() -> Vec<(&'static str, Document, Bson, Document)> {
    let point = doc! { "type": "Point", "coordinates": [1, 2] };
    vec![
        (
            "sphere",
            doc! { "v": "2dsphere" },
            point.into(),
            doc! { "v": "nowhere" },
        ),
        (
            "flat",
            doc! { "v": "2d" },
            vec![1, 2].into(),
            doc! { "v": [1000, 1000] },
        ),
        (
            "letters",
            doc! { "v": "2d" },
            vec![1, 2].into(),
            doc! { "v": ["a", "b"] },
        ),
        (
            "arrays",
            doc! { "v": 1, "w": 1 },
            1.into(),
            doc! { "v": [1, 2], "w": [1, 2] },
        ),
        (
            "hashed",
            doc! { "v": "hashed" },
            1.into(),
            doc! { "v": [1, 2] },
        ),
        (
            "text",
            doc! { "v": "text" },
            "x".into(),
            doc! { "language": "klingon" },
        ),
        (
            "number",
            doc! { "v.0": 1 },
            1.into(),
            doc! { "v": [{ "0": 1 }, 2] },
        ),
    ]
}

async fn load(source: &Database) -> Result<()> {
    for (name, key, taken, _) in refusing() {
        let documents = (0..20).map(|n| doc! { "_id": n, "v": &taken, "n": 0 });
        insert(source, name, documents.collect()).await?;
        let indexes = [
            doc! { "key": key, "name": "refuses" },
            doc! { "key": { "n": 1 }, "name": "n" },
        ];
        run(
            source,
            doc! { "createIndexes": name, "indexes": indexes.to_vec() },
        )
        .await?;
    }
    Ok(())
}

/// Updates a document, drops the index, and then writes the value that the index refused. The look-up for the first
/// event finds the value of the second event.
async fn change(source: &Database) -> Result<()> {
    for (name, _, _, refused) in refusing() {
        for id in 5..10 {
            update(source, name, id, doc! { "$set": { "n": 1 } }).await?;
        }
        run(source, doc! { "dropIndexes": name, "index": "refuses" }).await?;
        for id in 5..10 {
            update(source, name, id, doc! { "$set": &refused }).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn f21_indexes_give_way_to_documents_of_a_later_time() -> Result<()> {
    let mut rig = Rig::start().await?;
    load(&rig.source_db("app")).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    change(&rig.source_db("app")).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// An index gives way, and the source has it again at the end.
#[tokio::test]
async fn f21_an_index_that_gave_way_is_there_after_commit() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    load(&source).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    change(&source).await?;
    for (name, key, taken, _) in refusing() {
        for id in 5..10 {
            let back = doc! { "$set": { "v": &taken }, "$unset": { "w": 1, "language": 1 } };
            update(&source, name, id, back).await?;
        }
        let again = vec![doc! { "key": key, "name": "refuses" }];
        run(&source, doc! { "createIndexes": name, "indexes": again }).await?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f21_indexes_that_are_built_first_give_way_to_the_copy() -> Result<()> {
    let mut rig = rig_with_death(Options::default(), "copy_batch_inserted").await?;
    load(&rig.source_db("app")).await?;
    start_and_die(&mut rig, json!({ "buildIndexes": "beforeDataCopy" })).await?;
    change(&rig.source_db("app")).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- 33: thousands of collections

#[tokio::test]
async fn f33_thousands_of_collections_are_copied_dropped_and_committed() -> Result<()> {
    const EMPTY: usize = 600;
    const INDEXED: usize = 60;
    let mut rig = Rig::start().await?;
    rig.set_scope(|_, collection| !collection.starts_with("dropped"));
    let source = rig.source_db("app");
    for n in 0..EMPTY {
        let name = if n < 100 { "dropped" } else { "empty" };
        run(&source, doc! { "create": format!("{name}{n}") }).await?;
    }
    for n in 0..INDEXED {
        let indexes = vec![doc! { "key": { "a": 1 }, "name": "a", "unique": true }];
        run(
            &source,
            doc! { "createIndexes": format!("indexed{n}"), "indexes": indexes },
        )
        .await?;
    }
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    let begun = Instant::now();
    rig.host.start(json!({})).await?;
    rig.host
        .wait_until("the copy", DEADLINE, |progress| {
            progress["info"] == "change event application"
        })
        .await?;
    eprintln!(
        "{} collections copied in {:?}",
        EMPTY + INDEXED,
        begun.elapsed()
    );
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    for n in 0..100 {
        run(&source, doc! { "drop": format!("dropped{n}") }).await?;
    }
    insert(&source, "c", vec![doc! { "_id": 2 }]).await?;
    let begun = Instant::now();
    rig.host.resume().await?;
    wait_until("all drops", DEADLINE, async || {
        let found = rig.destination_db("app").collection::<Document>("c");
        Ok(match found.find_one(doc! { "_id": 2 }).await? {
            Some(_) => Look::Done(()),
            None => Look::NotYet(String::new()),
        })
    })
    .await?;
    eprintln!("100 collections dropped in {:?}", begun.elapsed());
    rig.host.wait_can_commit().await?;
    let begun = Instant::now();
    rig.commit().await?;
    eprintln!(
        "{} collections committed in {:?}",
        EMPTY + INDEXED,
        begun.elapsed()
    );
    let progress = rig.host.progress().await?;
    ensure!(number(&progress, "/totalEventsApplied") >= 101);
    rig.close().await.map(drop)
}

// ---- 26, 28: properties of clusters

/// Majorities are slower than the lease: nothing is written, and the warning names the cause and the remedy.
#[tokio::test]
async fn f26_a_lease_that_majorities_are_too_slow_for_is_told() -> Result<()> {
    let rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    let renewals = commands("findAndModify").when(|command| command.label.contains("lease"));
    let slow = rig.proxies()?.destination.on(renewals).after(async |_| {
        tokio::time::sleep(Duration::from_millis(3_000)).await;
        Then::GoOn
    });
    rig.host
        .wait_until("a warning", DEADLINE, |progress| {
            progress["warnings"]
                .to_string()
                .contains("Raise leaseSeconds")
        })
        .await?;
    rig.proxies()?.destination.remove(&slow);
    rig.host
        .wait_until("no warning", DEADLINE, |progress| {
            !progress["warnings"]
                .to_string()
                .contains("Raise leaseSeconds")
        })
        .await?;
    rig.finish().await.map(drop)
}

/// Without the check, the call waits for a majority for minutes, and all other calls wait for it.
#[tokio::test]
async fn a_cluster_without_a_majority_is_refused_at_start() -> Result<()> {
    let rig = Rig::with(Options {
        source: replica_set::Options::with_fail_points().of_three(),
        ..Options::default()
    })
    .await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.source.isolate_primary().await?;
    let behind = rig.source_db("app").collection::<Document>("c");
    let alone = WriteConcern::nodes(1);
    behind
        .insert_one(doc! { "_id": 2 })
        .write_concern(alone)
        .await?;
    let body = json!({ "source": "cluster0", "destination": "cluster1" });
    let begun = Instant::now();
    refused(&rig, "start", body, "MajorityNotReached").await?;
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(20), "refused after {took:?}");
    rig.source.join_members().await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f28_a_cluster_that_refuses_scans_is_refused_at_start() -> Result<()> {
    let rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    for set in [&rig.source, &rig.destination] {
        set.admin(doc! { "setParameter": 1, "notablescan": true })
            .await?;
        let body = json!({ "source": "cluster0", "destination": "cluster1" });
        refused(&rig, "start", body, "TableScansNotAllowed").await?;
        set.admin(doc! { "setParameter": 1, "notablescan": false })
            .await?;
    }
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- operations that no change stream carries

#[tokio::test]
async fn apply_ops_on_the_source_is_told() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("applyOps was run on the source");
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    let told = |progress: &Value| {
        progress["warnings"]
            .to_string()
            .contains("applyOps was run")
    };
    ensure!(!told(&wait_in_step(&rig).await?));
    let operations = vec![doc! { "op": "i", "ns": "app.c", "o": { "_id": 2 } }];
    rig.source.admin(doc! { "applyOps": operations }).await?;
    rig.host.wait_until("a warning", DEADLINE, told).await?;
    // The warning is shown by every host that works.
    rig.host.terminate().await?;
    rig.host.restart().await?;
    ensure!(told(&wait_in_step(&rig).await?));
    ensure!(
        rig.compare().await.is_err(),
        "the stream has carried it: the warning is false"
    );
    rig.abandon();
    Ok(())
}
