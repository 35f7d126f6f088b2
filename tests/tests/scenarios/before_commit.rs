//! Comparison before commit: ranges of the copy whose inserts may arrive late, and capped collections.

use anyhow::{Result, ensure};
use bson::{Bson, Document, doc};
use document_filter::DocumentFilter;
use serde_json::json;
use support::{
    Rig,
    chain::Chain,
    proxy::{Failure, Fault, Pattern, Proxies, commands},
    rig::Options,
};

use crate::{
    findings_writes::proxied,
    plugins::builds::{AllStamped, FIRST, stamped, upload},
    steps::{delete, find, insert, rig_with_death, run, start_and_die, update, wait_in_step},
};

/// Half, as a decimal. Its `_id` equals that of the double for the server, and differs from it for a host.
fn half() -> Bson {
    Bson::Decimal128("0.5".parse().unwrap())
}

async fn replace_half(rig: &Rig, from: Bson, to: Document) -> Result<()> {
    let source = rig.source_db("app");
    delete(&source, "c", from).await?;
    insert(&source, "c", vec![to]).await
}

// ---- ranges of the copy

/// The comparison's reads of the source, at a time or of the newest state.
fn reads(level: &'static str) -> Pattern {
    commands("find").of("app.c").when(move |command| {
        let concern = command.body.get_document("readConcern");
        concern.is_ok_and(|concern| concern.get_str("level").ok() == Some(level))
    })
}

/// The `_id`s part only where the source is read as it is after the position: its snapshots are gone.
#[tokio::test]
async fn suspect_ranges_keep_a_plugins_document_with_an_equal_id() -> Result<()> {
    let mut rig = rig_with_death(proxied(), "copy_batch_inserted").await?;
    rig.expect(AllStamped(FIRST.stamp));
    let first = doc! { "_id": half(), "v": "first" };
    let documents = (1..10).map(|n| doc! { "_id": n, "v": "first" });
    let documents = documents.chain([first.clone()]).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    upload(&rig, FIRST).await?;
    // Without verification: it reads snapshots too, and this source has none.
    start_and_die(&mut rig, stamped()).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    let source = &rig.proxies()?.source;
    source
        .on(reads("snapshot"))
        .answer(Failure::of(246, "SnapshotUnavailable"));
    let newest = source.on(reads("majority")).hold();
    rig.host.commit().await?;
    newest.seen().await?;
    replace_half(&rig, half(), doc! { "_id": 0.5, "v": "second" }).await?;
    newest.release().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let left = find(&rig.destination_db("app"), "c", half()).await?;
    let stamp = left.as_ref().and_then(|left| left.get_str("stamp").ok());
    ensure!(stamp == Some(FIRST.stamp), "written over: {left:?}");
    // As it was at the commit.
    replace_half(&rig, Bson::Double(0.5), first).await?;
    rig.close().await.map(drop)
}

/// Documents that a late insert of the copy brings back, and that a plugin has dropped in between.
#[tokio::test]
async fn suspect_ranges_lose_what_a_plugin_has_dropped_since() -> Result<()> {
    let mut rig = Rig::with(proxied()).await?;
    // The verification may see them before commit corrects them.
    rig.allow_log("a document differs");
    let filter = json!({ "field": "v", "matchValues": ["in"] });
    rig.expect(Chain::of(|_, _| true).then::<DocumentFilter>(&filter)?);
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    let ids = (1..10).map(Bson::Int32).chain([half()]);
    let documents = ids.map(|id| doc! { "_id": id, "v": "in" }).collect();
    insert(&source, "c", documents).await?;
    let inserts = commands("insert").of("app.c").first();
    let late = rig.proxies()?.destination.on(inserts).hold_and_cut();
    rig.host.start(json!({ "documentFilter": filter })).await?;
    late.seen().await?;
    wait_in_step(&rig).await?;
    update(&source, "c", 1, doc! { "$set": { "v": "out" } }).await?;
    delete(&source, "c", 2).await?;
    replace_half(&rig, half(), doc! { "_id": 0.5, "v": "out" }).await?;
    wait_in_step(&rig).await?;
    late.release().await?;
    for id in [Bson::Int32(1), Bson::Int32(2), half()] {
        let back = find(&destination, "c", id.clone()).await?;
        ensure!(back.is_some(), "{id} has not come back");
    }
    rig.finish().await.map(drop)
}

// ---- capped collections

/// A sync of `app.capped`, which takes several batches to read, that is in step.
async fn capped_in_step(options: Options) -> Result<Rig> {
    let rig = Rig::with(options).await?;
    let source = rig.source_db("app");
    let capped = doc! { "create": "capped", "capped": true, "size": 1 << 20 };
    run(&source, capped).await?;
    let documents = (0..300).map(|n| doc! { "_id": n }).collect();
    insert(&source, "capped", documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    Ok(rig)
}

/// Both clusters refuse reads of the comparison once, and cut their connections.
#[tokio::test]
async fn capped_collections_are_compared_again_after_errors_that_pass() -> Result<()> {
    let rig = capped_in_step(proxied()).await?;
    let faults = [
        ("find", Fault::AnswerAsServer(Failure::PRIMARY_STEPPED_DOWN)),
        ("find", Fault::AnswerAsServer(Failure::SHUTDOWN_IN_PROGRESS)),
        ("find", Fault::CutBefore),
        ("find", Fault::CutAfter),
        ("getMore", Fault::CutBefore),
    ];
    let Proxies {
        source,
        destination,
    } = rig.proxies()?;
    let mut faulted = Vec::new();
    for (name, fault) in faults {
        for proxy in [source, destination] {
            let reads = commands(name).of("app.capped").first();
            faulted.push(proxy.on(reads).fault(fault.clone()));
        }
    }
    rig.commit().await?;
    for fault in &faulted {
        fault.seen().await?;
    }
    rig.close().await.map(drop)
}

#[tokio::test]
async fn capped_collections_that_are_dropped_before_they_are_compared() -> Result<()> {
    let rig = capped_in_step(proxied()).await?;
    let reads = commands("find").of("app.capped");
    let held = rig.proxies()?.source.on(reads).hold();
    rig.host.commit().await?;
    held.seen().await?;
    run(&rig.source_db("app"), doc! { "drop": "capped" }).await?;
    held.release().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    // Dropped after the commit's time: that is not the sync's to repeat.
    run(&rig.destination_db("app"), doc! { "drop": "capped" }).await?;
    rig.close().await.map(drop)
}
