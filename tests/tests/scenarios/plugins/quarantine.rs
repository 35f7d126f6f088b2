//! The life of a document in quarantine.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bson::doc;
use serde_json::json;
use support::{Rig, host::DEADLINE};

use super::guests::{FAULTY, FAULTY_FIXED, swap, upload_guest};
use crate::steps::{delete, find, insert, metadata, run, update, wait_in_step};

async fn wait_for_held(rig: &Rig, held: u64) -> Result<()> {
    rig.host
        .wait_until("the number in quarantine", DEADLINE, |progress| {
            progress["quarantined"] == held
        })
        .await?;
    Ok(())
}

/// An entry is removed when its document can be handled, is deleted, or its collection is dropped. It survives
/// restarts, and the document is not on the destination until then.
#[tokio::test]
async fn entries_go_with_what_becomes_of_their_documents() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a plugin trapped");
    let source = rig.source_db("app");
    let refused = |id: i32| doc! { "_id": id, "fault": "refuse" };
    insert(&source, "c", (0..4).map(refused).collect()).await?;
    insert(&source, "gone", vec![refused(0)]).await?;
    insert(&source, "c", vec![doc! { "_id": 10, "sound": true }]).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    let plugins = json!([{ "component": digest, "onError": "quarantine" }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    wait_for_held(&rig, 5).await?;

    // An update that makes it sound, a delete, and a drop.
    update(&source, "c", 0, doc! { "$unset": { "fault": 1 } }).await?;
    delete(&source, "c", 1).await?;
    run(&source, doc! { "drop": "gone" }).await?;
    wait_for_held(&rig, 2).await?;
    // A document that was sound before and fails now is removed from the destination.
    update(&source, "c", 10, doc! { "$set": { "fault": "panic" } }).await?;
    wait_for_held(&rig, 3).await?;
    wait_in_step(&rig).await?;
    let destination = rig.destination_db("app");
    ensure!(find(&destination, "c", 0).await?.is_some());
    ensure!(find(&destination, "c", 10).await?.is_none());

    rig.host.kill()?;
    rig.host.restart().await?;
    wait_for_held(&rig, 3).await?;
    ensure!(metadata(&rig, "quarantine").await?.len() == 3);
    // With the same plugin a retry changes nothing; with a repaired plugin all documents arrive.
    wait_in_step(&rig).await?;
    let retry = async || rig.host.call("POST", "/api/v1/quarantine/retry", "").await;
    let answer = retry().await?;
    ensure!(answer.body["left"] == 3, "{}", answer.body);
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    swap(&rig, "faulty", &fixed).await?;
    let answer = retry().await?;
    ensure!(answer.body["left"] == 0, "{}", answer.body);
    rig.finish().await?;
    Ok(())
}

/// Finding 49: each document was a durable write and a call of its own. 410 a second, then.
#[tokio::test]
async fn f49_a_collection_of_which_all_is_put_aside_is_copied_fast() -> Result<()> {
    const DOCUMENTS: i32 = 20_000;
    const HELD: u64 = 20_000;
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let refused = |id: i32| doc! { "_id": id, "fault": "refuse", "pad": "x".repeat(200) };
    insert(&source, "c", (0..DOCUMENTS).map(refused).collect()).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    let plugins = json!([{ "component": digest, "onError": "quarantine" }]);
    let began = Instant::now();
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    let copied = began.elapsed();
    wait_for_held(&rig, HELD).await?;

    // And others in the stream.
    let began = Instant::now();
    insert(
        &source,
        "c",
        (DOCUMENTS..2 * DOCUMENTS).map(refused).collect(),
    )
    .await?;
    wait_for_held(&rig, 2 * HELD).await?;
    let applied = began.elapsed();
    eprintln!("{DOCUMENTS} documents put aside: copied in {copied:?}, applied in {applied:?}");
    ensure!(metadata(&rig, "quarantine").await?.len() as u64 == 2 * HELD);
    // Each on its own, they took a minute and a half.
    for took in [copied, applied] {
        ensure!(took < Duration::from_secs(30), "{took:?}");
    }
    // Quarantined documents are not on the destination: the comparison would find them.
    run(&source, doc! { "drop": "c" }).await?;
    wait_for_held(&rig, 0).await?;
    rig.finish().await?;
    Ok(())
}
