//! Documents of exactly 16 MiB under long `_id`s, whose change events are larger than a reply of the source.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, doc};
use document_filter::DocumentFilter;
use field_mask::FieldMask;
use mongodb::Database;
use serde_json::json;
use support::{
    Rig, chain::Chain, host::DEADLINE, replica_set, rig::Options, wait::Look, wait_until,
};

use crate::steps::{
    delete, go_on_and_die, insert, rig_to_die_at, rig_with_death, run, start_and_die, update,
    wait_in_step,
};

/// The size of the largest document.
const LARGEST: usize = 16 << 20;

/// Lengths of `_id`s. With a document of 16 MiB the server cuts the connection for the second and the third, and
/// refuses the event for the last two (seen, 6.0.5).
const LENGTHS: [usize; 5] = [60, 3_250, 5_000, 7_000, 16_000];

/// A string `_id` of `length` bytes that begins with `name`.
fn id(name: &str, length: usize) -> String {
    format!("{name}{}", "i".repeat(length - name.len()))
}

/// A document of exactly 16 MiB. Nearly all of it is the string `filler`.
fn largest(id: &str, fill: &str, secret: i32) -> Result<Document> {
    let mut document = doc! { "_id": id, "secret": secret, "filler": "" };
    let rest = LARGEST - bson::serialize_to_vec(&document)?.len();
    document.insert("filler", fill.repeat(rest));
    ensure!(bson::serialize_to_vec(&document)?.len() == LARGEST);
    Ok(document)
}

async fn replace(source: &Database, collection: &str, document: Document) -> Result<()> {
    let id = document.get("_id").context("no _id")?.clone();
    update(source, collection, id, document).await
}

/// Another filler of the same length, which the oplog holds as a difference.
fn refill(document: &Document, fill: &str) -> Result<Bson> {
    let length = document.get_str("filler")?.len();
    Ok(doc! { "$set": { "filler": fill.repeat(length) } }.into())
}

/// Every kind of change, of documents with names of this round: one is left as inserted, one is updated, one
/// replaced, one deleted, and one deleted and inserted again.
async fn change(source: &Database, collection: &str, round: &str, length: usize) -> Result<()> {
    let id = |name: &str| id(&format!("{round}-{name}-"), length);
    for name in ["inserted", "updated", "replaced", "deleted", "again"] {
        insert(source, collection, vec![largest(&id(name), "a", 1)?]).await?;
    }
    let updated = largest(&id("updated"), "a", 1)?;
    update(source, collection, id("updated"), refill(&updated, "b")?).await?;
    let small = doc! { "$set": { "secret": 2 } };
    update(source, collection, id("updated"), small).await?;
    replace(source, collection, largest(&id("replaced"), "c", 3)?).await?;
    delete(source, collection, id("deleted")).await?;
    delete(source, collection, id("again")).await?;
    insert(source, collection, vec![largest(&id("again"), "d", 4)?]).await
}

/// A source whose cache takes a transaction of large documents.
fn options() -> Options {
    Options {
        source: replica_set::Options {
            cache_gb: 1.0,
            ..replica_set::Options::default()
        },
        ..Options::default()
    }
}

/// A transaction of large and small changes, whose events share one cluster time.
async fn change_together(rig: &Rig, collection: &str, length: usize) -> Result<()> {
    let documents = rig.source_db("app").collection::<Document>(collection);
    let mut session = rig.source.client().start_session().await?;
    session.start_transaction().await?;
    for n in 0..2 {
        let id = |name: &str| id(&format!("together-{name}-{n}-"), length);
        let small = doc! { "_id": id("small"), "secret": n };
        documents.insert_one(small).session(&mut session).await?;
        documents
            .insert_one(largest(&id("large"), "t", n)?)
            .session(&mut session)
            .await?;
        let set = doc! { "$set": { "secret": 10 + n } };
        documents
            .update_one(doc! { "_id": id("large") }, set)
            .session(&mut session)
            .await?;
    }
    let first = doc! { "_id": id("together-large-0-", length) };
    documents.delete_one(first).session(&mut session).await?;
    session.commit_transaction().await?;
    Ok(())
}

/// The number of oversize events that the host has read.
async fn oversize_events(rig: &Rig) -> Result<u64> {
    let answer = rig.host.call("GET", "/metrics", "").await?;
    let text = answer.body.as_str().context("metrics are a text")?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_oversize_events_total "));
    Ok(value.context("no counter of oversize events")?.parse()?)
}

/// Waits until the stream has all documents again: each insert is a reply of its own, and a good one.
async fn wait_for_whole_events(rig: &Rig) -> Result<()> {
    let source = rig.source_db("app");
    wait_until("the stream reads documents again", DEADLINE, async || {
        for _ in 0..20 {
            insert(&source, "small", vec![doc! { "n": 1 }]).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(match rig.log.has("with all documents again")? {
            true => Look::Done(()),
            false => Look::NotYet("it leaves them out".to_owned()),
        })
    })
    .await
}

/// Oversize events in step with the source: several in a row, between DDL events, in a transaction, and an idle
/// source after them.
#[tokio::test]
async fn s14_oversize_events_are_applied() -> Result<()> {
    let rig = Rig::with(options()).await?;
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": "first" }]).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    for (n, length) in LENGTHS.into_iter().enumerate() {
        change(&source, "c", &format!("round {n}"), length).await?;
        let index = doc! { "key": { "secret": 1 }, "name": format!("secret_{n}") };
        let index = match n {
            0 | 4 => doc! { "createIndexes": "c", "indexes": [index] },
            1 => doc! { "collMod": "c", "index": { "name": "secret_0", "hidden": true } },
            2 => doc! { "create": "other", "validator": { "secret": { "$lt": 100 } } },
            _ => doc! { "dropIndexes": "c", "index": "secret_0" },
        };
        run(&source, index).await?;
        insert(&source, "small", vec![doc! { "_id": format!("round {n}") }]).await?;
        wait_in_step(&rig).await?;
    }
    change_together(&rig, "c", 7_000).await?;
    let large = largest(&id("renamed-", 7_000), "r", 1)?;
    insert(&source, "c", vec![large]).await?;
    rig.source
        .admin(doc! { "renameCollection": "app.c", "to": "app.d" })
        .await?;
    change(&source, "d", "renamed", 7_000).await?;
    wait_in_step(&rig).await?;
    let oversize = oversize_events(&rig).await?;
    // In each round six inserts, two large updates or replacements, and one of the transaction's kind.
    ensure!(oversize >= 5 * 8, "{oversize} oversize events");
    wait_for_whole_events(&rig).await?;
    change(&source, "d", "last", 7_000).await?;
    wait_in_step(&rig).await?;
    ensure!(oversize_events(&rig).await? > oversize);
    rig.finish().await.map(drop)
}

/// Kills before the position is persisted, and in the middle of the events.
#[tokio::test]
async fn s14_oversize_events_are_applied_through_kills() -> Result<()> {
    let mut rig = rig_with_death(options(), "events_applied:2").await?;
    let source = rig.source_db("app");
    let early = largest(&id("early-", 7_000), "e", 1)?;
    insert(&source, "c", vec![early.clone()]).await?;
    start_and_die(&mut rig, json!({})).await?;
    change(&source, "c", "dead", 7_000).await?;
    update(&source, "c", id("early-", 7_000), refill(&early, "f")?).await?;
    go_on_and_die(&mut rig, "events_applied:3").await?;
    change_together(&rig, "c", 5_000).await?;
    go_on_and_die(&mut rig, "position_persisted").await?;
    change(&source, "c", "dead again", 5_000).await?;
    for pause in [300, 900, 1_500] {
        rig.host.restart().await?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        change(&source, "c", &format!("after {pause}"), 7_000).await?;
        rig.host.kill()?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    change(&source, "c", "paused", 16_000).await?;
    rig.host.resume().await?;
    rig.finish().await.map(drop)
}

/// The copy of documents of 16 MiB, which change while they are copied, with kills.
#[tokio::test]
async fn s15_documents_of_16_mib_are_copied() -> Result<()> {
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted:3").await?;
    let source = rig.source_db("app");
    let ids: Vec<String> = (0..8).map(|n| id(&format!("{n}-"), 7_000)).collect();
    for (n, id) in ids.iter().enumerate() {
        let small = doc! { "_id": format!("small {n}"), "n": n as i32 };
        insert(&source, "c", vec![largest(id, "a", 1)?, small]).await?;
    }
    // Without a delta: a value that the server would replace is written by a pipeline.
    let mut stamped = largest(&id("stamped-", 6_950), "s", 1)?;
    let filler = stamped.get_str("filler")?.to_owned();
    stamped.insert("filler", &filler[..filler.len() - 64]);
    stamped.insert(
        "empty",
        bson::Timestamp {
            time: 0,
            increment: 0,
        },
    );
    insert(&source, "by pipeline", vec![doc! { "_id": 1 }]).await?;
    replace_by_pipeline(&source, "by pipeline", stamped).await?;
    start_and_die(&mut rig, json!({})).await?;
    for (n, id) in ids.iter().enumerate() {
        match n % 4 {
            0 => update(&source, "c", id, refill(&largest(id, "a", 1)?, "b")?).await?,
            1 => replace(&source, "c", largest(id, "c", 2)?).await?,
            2 => delete(&source, "c", id).await?,
            _ => update(&source, "c", id, doc! { "$set": { "secret": 7 } }).await?,
        }
    }
    go_on_and_die(&mut rig, "copy_batch_inserted:2").await?;
    change(&source, "c", "while copied", 7_000).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Writes a document whose empty timestamp the server keeps.
async fn replace_by_pipeline(
    source: &Database,
    collection: &str,
    document: Document,
) -> Result<()> {
    let id = document.get("_id").context("no _id")?.clone();
    let pipeline = vec![doc! { "$replaceWith": { "$literal": document } }];
    let statement = doc! { "q": { "_id": id }, "u": pipeline, "upsert": true };
    run(
        source,
        doc! { "update": collection, "updates": [statement] },
    )
    .await?;
    Ok(())
}

/// Plugins get oversize documents as any others: some are masked, and some are moved out of a filter.
#[tokio::test]
async fn f70_plugins_see_oversize_documents() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    let mask = json!({ "rules": [{ "path": "secret", "action": "set", "value": 0 }] });
    let kept = json!({ "filter": { "secret": { "$lt": 4 } } });
    rig.expect(
        Chain::of(|_, _| true)
            .then::<DocumentFilter>(&kept)?
            .then::<FieldMask>(&mask)?,
    );
    let plugins = json!([
        { "component": "document-filter", "config": kept },
        { "component": "field-mask", "config": mask },
    ]);
    let source = rig.source_db("app");
    insert(&source, "c", vec![largest(&id("copied-", 7_000), "p", 1)?]).await?;
    insert(
        &source,
        "c",
        vec![largest(&id("left out-", 7_000), "p", 5)?],
    )
    .await?;
    start_and_die(&mut rig, json!({ "plugins": plugins })).await?;
    change(&source, "c", "between", 7_000).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    change(&source, "c", "in step", 5_000).await?;
    update(
        &source,
        "c",
        id("copied-", 7_000),
        doc! { "$set": { "secret": 9 } },
    )
    .await?;
    replace(&source, "c", largest(&id("left out-", 7_000), "q", 2)?).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Order is data in a capped collection, and `_id`s are equal under a collation.
#[tokio::test]
async fn f71_oversize_events_keep_the_order_of_documents() -> Result<()> {
    let mut rig = rig_to_die_at("events_applied:2").await?;
    let source = rig.source_db("app");
    run(
        &source,
        doc! { "create": "capped", "capped": true, "size": 200 << 20 },
    )
    .await?;
    let collation = doc! { "locale": "en", "strength": 2 };
    run(
        &source,
        doc! { "create": "collated", "collation": collation },
    )
    .await?;
    start_and_die(&mut rig, json!({})).await?;
    for (n, length) in LENGTHS.into_iter().enumerate() {
        let n = n as i32;
        let large = largest(&id(&format!("large {n} "), length), "c", n)?;
        let small = |name: &str| vec![doc! { "_id": format!("{name} {n}"), "secret": n }];
        insert(&source, "capped", small("before")).await?;
        insert(&source, "capped", vec![large.clone()]).await?;
        insert(&source, "capped", small("after")).await?;
        insert(&source, "collated", vec![large]).await?;
        let lower = id(&format!("large {n} "), length);
        delete(&source, "collated", &lower).await?;
        let upper = largest(&lower.to_uppercase(), "U", n)?;
        insert(&source, "collated", vec![upper]).await?;
    }
    go_on_and_die(&mut rig, "events_applied:2").await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Batches that fill a reply, with positions of up to 6 MiB on top: the server cuts the connection until the batch
/// is smaller.
#[tokio::test]
async fn f72_events_under_very_long_ids_are_applied() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    let source = rig.source_db("app");
    let all = [(10_000, 2_000), (200_000, 60), (1 << 20, 12), (3 << 20, 6)];
    let ids = |length: usize, count: usize| (0..count).map(move |n| id(&format!("{n} "), length));
    for (length, count) in all {
        for id in ids(length, count.min(3)) {
            insert(&source, "c", vec![doc! { "_id": id, "n": 0 }]).await?;
        }
    }
    start_and_die(&mut rig, json!({})).await?;
    for (length, count) in all {
        for id in ids(length, count) {
            let document = doc! { "_id": &id, "n": 1, "filler": "f".repeat(length % 7_919) };
            let statement = doc! { "q": { "_id": id }, "u": document, "upsert": true };
            run(&source, doc! { "update": "c", "updates": [statement] }).await?;
        }
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    for (length, count) in all {
        for id in ids(length, count).skip(1).step_by(2) {
            update(&source, "c", &id, doc! { "$inc": { "n": 1 } }).await?;
        }
        delete(&source, "c", id("0 ", length)).await?;
    }
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Changes under `_id`s that no change stream delivers: too long for a reply, for an event, and for a token.
async fn change_under_endless_ids(source: &Database, collection: &str) -> Result<()> {
    for length in [3_500_000, 5 << 20, 8 << 20] {
        let id = id("endless-", length);
        insert(source, collection, vec![doc! { "_id": &id, "n": 1 }]).await?;
        let small = doc! { "_id": format!("after {length}"), "n": 1 };
        insert(source, collection, vec![small]).await?;
        update(source, collection, id, doc! { "$set": { "n": 2 } }).await?;
    }
    Ok(())
}

/// The stream goes on after the event, and the collections are compared.
#[tokio::test]
async fn f73_an_id_that_no_stream_delivers_is_compared() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("the position is lost");
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": "first" }]).await?;
    insert(&source, "c", vec![doc! { "_id": id("copied-", 5 << 20) }]).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    change_under_endless_ids(&source, "c").await?;
    delete(&source, "c", id("copied-", 5 << 20)).await?;
    wait_in_step(&rig).await?;
    insert(&source, "c", vec![doc! { "_id": "last" }]).await?;
    wait_in_step(&rig).await?;
    ensure!(rig.log.has("too large for every change stream")?);
    rig.finish().await.map(drop)
}

/// With `onOplogRollover: "stop"` the sync says why it is paused.
#[tokio::test]
async fn f73_a_sync_that_stops_names_the_event() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": "first" }]).await?;
    rig.host.start(json!({ "onOplogRollover": "stop" })).await?;
    wait_in_step(&rig).await?;
    rig.allow_log("ChangeEventTooLarge");
    change_under_endless_ids(&source, "c").await?;
    rig.host.wait_for_state("PAUSED").await?;
    ensure!(rig.log.has("ChangeEventTooLarge")?);
    rig.abandon();
    Ok(())
}
