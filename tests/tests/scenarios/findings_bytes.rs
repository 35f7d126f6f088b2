//! Documents arrive as they are, in order: findings 12, 15, 16, 32 and 34 of 0.2.0. With `TIDEGATE_BIN` they run on
//! another host.

use std::time::Instant;

use anyhow::{Result, ensure};
use bson::{Bson, Document, Timestamp, doc};
use futures::TryStreamExt;
use serde_json::json;
use support::{Rig, host::DEADLINE, rig::Options, wait::Look, wait_until};

use crate::steps::{
    delete, find, insert, rig_with_death, run, start_and_die, update, wait_in_step,
};

const EMPTY: Timestamp = Timestamp {
    time: 0,
    increment: 0,
};

fn decimal(text: &str) -> Result<Bson> {
    Ok(Bson::Decimal128(text.parse()?))
}

// ---- 12: empty timestamps

/// Writes a document with empty timestamps. The server fills them in where it is inserted as it is.
async fn put_empty(rig: &Rig, collection: &str, id: impl Into<Bson>) -> Result<()> {
    let id = id.into();
    let document =
        doc! { "_id": &id, "at": EMPTY, "n": 0_i64, "in": { "at": EMPTY }, "and": EMPTY };
    let replacement = vec![doc! { "$replaceWith": { "$literal": document } }];
    let updates = doc! { "q": { "_id": id }, "u": replacement, "upsert": true };
    run(
        &rig.source_db("app"),
        doc! { "update": collection, "updates": [updates] },
    )
    .await
    .map(drop)
}

async fn is_empty(
    database: &mongodb::Database,
    collection: &str,
    id: impl Into<Bson>,
) -> Result<bool> {
    let found: Option<Document> = database
        .collection(collection)
        .find_one(doc! { "_id": id.into() })
        .await?;
    Ok(found.is_some_and(|found| {
        found.get_timestamp("at").is_ok_and(|at| at == EMPTY)
            && found.get_timestamp("and").is_ok_and(|at| at == EMPTY)
    }))
}

#[tokio::test]
async fn f12_empty_timestamps_arrive_by_every_way() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    run(
        &source,
        doc! { "create": "capped", "capped": true, "size": 1 << 20 },
    )
    .await?;
    let clustered = doc! { "key": { "_id": 1 }, "unique": true };
    run(
        &source,
        doc! { "create": "clustered", "clusteredIndex": clustered },
    )
    .await?;
    let collections = ["c", "capped", "clustered"];
    for collection in collections {
        for id in 0..6 {
            match id % 2 {
                0 => put_empty(&rig, collection, id).await?,
                _ => insert(&source, collection, vec![doc! { "_id": id, "n": 0_i64 }]).await?,
            }
        }
    }
    ensure!(
        is_empty(&source, "c", 0).await?,
        "the source has filled them in"
    );
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    for collection in collections {
        // An insert, a replacement with an empty timestamp, and an update of a document with empty timestamps.
        put_empty(&rig, collection, 10).await?;
        put_empty(&rig, collection, 11).await?;
        update(&source, collection, 10, doc! { "$set": { "n": 1_i64 } }).await?;
    }
    put_empty(&rig, "c", 1).await?;
    update(
        &source,
        "c",
        3,
        doc! { "$set": { "at": EMPTY, "and": EMPTY } },
    )
    .await?;
    // An equal `_id` of another type: deleted and inserted.
    delete(&source, "c", 5).await?;
    put_empty(&rig, "c", 5.0).await?;
    wait_in_step(&rig).await?;
    for (collection, id) in [
        ("c", 0),
        ("c", 1),
        ("c", 3),
        ("capped", 10),
        ("clustered", 11),
    ] {
        ensure!(
            is_empty(&rig.destination_db("app"), collection, id).await?,
            "{collection} {id}"
        );
    }
    rig.finish().await.map(drop)
}

/// Documents are looked up, and copied a second time, since the host is killed in both.
#[tokio::test]
async fn f12_empty_timestamps_arrive_after_a_crash() -> Result<()> {
    let mut rig = rig_with_death(Options::default(), "copy_batch_inserted").await?;
    for id in 0..50 {
        put_empty(&rig, "c", id).await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    for id in 0..20 {
        update(
            &rig.source_db("app"),
            "c",
            id,
            doc! { "$inc": { "n": 1_i64 } },
        )
        .await?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    ensure!(is_empty(&rig.destination_db("app"), "c", 7).await?);
    rig.finish().await.map(drop)
}

// ---- 15: bounds

#[tokio::test]
async fn f15_a_document_behind_all_others_is_copied() -> Result<()> {
    let rig = Rig::start().await?;
    let large = "x".repeat(2 << 20);
    let source = rig.source_db("app");
    for n in 0..16 {
        insert(&source, "c", vec![doc! { "_id": n, "x": &large }]).await?;
    }
    insert(
        &source,
        "c",
        vec![doc! { "_id": Bson::MaxKey }, doc! { "_id": Bson::MinKey }],
    )
    .await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- 16: `_id`s that are equal

#[tokio::test]
async fn f16_documents_under_equal_embedded_ids_stay_in_order() -> Result<()> {
    const PAIRS: i32 = 1_500;
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let id = |n: i32, half: Bson| doc! { "n": n, "a": { "b": [half] } };
    let old = (0..PAIRS).map(|n| Ok(doc! { "_id": id(n, decimal("0.5")?), "old": n }));
    insert(&source, "c", old.collect::<Result<_>>()?).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    for chunk in (0..PAIRS).collect::<Vec<_>>().chunks(500) {
        let deletes = chunk
            .iter()
            .map(|n| Ok(doc! { "q": { "_id": id(*n, decimal("0.5")?) }, "limit": 1 }))
            .collect::<Result<Vec<_>>>()?;
        run(&source, doc! { "delete": "c", "deletes": deletes }).await?;
        let new = chunk
            .iter()
            .map(|n| doc! { "_id": id(*n, 0.5.into()), "new": n });
        insert(&source, "c", new.collect()).await?;
    }
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- 32: look-ups

/// Large documents are looked up after a crash: memory stays within the byte budget.
#[tokio::test]
async fn f32_large_documents_are_looked_up_within_the_budget() -> Result<()> {
    const DOCUMENTS: i32 = 600;
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    let large = "x".repeat(1 << 20);
    for n in 0..DOCUMENTS {
        insert(&source, "c", vec![doc! { "_id": n, "x": &large, "n": 0 }]).await?;
    }
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    for n in 0..DOCUMENTS {
        update(&source, "c", n, doc! { "$inc": { "n": 1 } }).await?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    let peak = rig.host.usage().peak_rss_kb >> 10;
    eprintln!("peak memory {peak} MiB");
    ensure!(peak <= 256, "{peak} MiB");
    rig.finish().await.map(drop)
}

// ---- 34: order where it matters, and only there

/// Alternating inserts and updates, in a collection of each kind and in an ordinary collection.
#[tokio::test]
async fn f34_order_is_kept_where_it_matters_and_costs_nothing_elsewhere() -> Result<()> {
    const EVENTS: i32 = 2_000;
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let collation = doc! { "locale": "en", "strength": 2 };
    run(
        &source,
        doc! { "create": "collated", "collation": &collation },
    )
    .await?;
    run(&source, doc! { "create": "names", "collation": &collation }).await?;
    run(
        &source,
        doc! { "create": "capped", "capped": true, "size": 1 << 24 },
    )
    .await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    let begin = insert_and_update(&source, "collated", EVENTS).await?;
    insert_and_update(&source, "capped", EVENTS).await?;
    exchange_names(&source).await?;
    insert(&source, "c", vec![doc! { "_id": "last" }]).await?;
    eprintln!("written in {:?}", begin.elapsed());
    let begin = Instant::now();
    rig.host.resume().await?;
    wait_until("the last document", DEADLINE, async || {
        let found = rig.destination_db("app").collection::<Document>("c");
        Ok(match found.find_one(doc! { "_id": "last" }).await? {
            Some(_) => Look::Done(()),
            None => Look::NotYet(String::new()),
        })
    })
    .await?;
    let rate = f64::from(2 * EVENTS) / begin.elapsed().as_secs_f64();
    eprintln!("{rate:.0} events a second");
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Every second event updates the document of the previous insert.
async fn insert_and_update(
    source: &mongodb::Database,
    collection: &str,
    events: i32,
) -> Result<Instant> {
    let begin = Instant::now();
    let documents = source.collection::<Document>(collection);
    for n in 0..events / 2 {
        documents.insert_one(doc! { "_id": n, "v": 0 }).await?;
        let change = doc! { "$set": { "v": 1 } };
        documents.update_one(doc! { "_id": n - 1 }, change).await?;
    }
    Ok(begin)
}

/// Strings that are equal under the collation, each in the place of its predecessor.
async fn exchange_names(source: &mongodb::Database) -> Result<()> {
    let names = source.collection::<Document>("names");
    for n in 0..40 {
        let name = if n % 2 == 0 { "abc" } else { "ABC" };
        names.delete_one(doc! { "_id": "aBc" }).await?;
        names.insert_one(doc! { "_id": name, "n": n }).await?;
        names
            .update_one(doc! { "_id": "abC" }, doc! { "$set": { "v": n } })
            .await?;
    }
    let left: Vec<Document> = names.find(doc! {}).await?.try_collect().await?;
    ensure!(left.len() == 1);
    ensure!(find(source, "names", 1).await?.is_none());
    Ok(())
}
