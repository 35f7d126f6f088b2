//! Shadows: a new build sees the documents of the build in use, its answers are compared, and the sync is as without it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    Rig,
    host::{Answer, DEADLINE},
    proxy::commands,
    rig::Options,
    wait::Look,
    wait_until,
};

use super::{
    builds::{FIRST, FIXED, stamped, upgraded, upload},
    guests::{FAULTY, FAULTY_FIXED, upload_guest},
};
use crate::steps::{insert, metadata, refused, wait_in_step};

async fn begin(rig: &Rig, body: Value) -> Result<()> {
    let answer = rig
        .host
        .call("POST", "/api/v1/shadow", &body.to_string())
        .await?;
    ensure!(answer.status == 200, "shadow answers {}", answer.body);
    Ok(())
}

async fn show(rig: &Rig, path: &str) -> Result<Value> {
    let answer: Answer = rig
        .host
        .call("GET", &format!("/api/v1/shadow{path}"), "")
        .await?;
    ensure!(answer.status == 200, "shadow answers {}", answer.body);
    Ok(answer.body)
}

async fn end(rig: &Rig) -> Result<()> {
    let answer = rig.host.call("DELETE", "/api/v1/shadow", "").await?;
    ensure!(answer.status == 200, "the end answers {}", answer.body);
    ensure!(show(rig, "").await?["shadows"] == json!([]));
    Ok(())
}

/// The documents that the shadow has seen, or was too late for.
fn offered(progress: &Value) -> u64 {
    let number = |name: &str| progress["shadows"][0][name].as_u64().unwrap_or_default();
    number("documents") + number("skipped") + number("failed")
}

/// Waits until the shadow has worked its queue off: nothing more is seen for a while.
async fn settled(rig: &Rig) -> Result<u64> {
    const WHILE: Duration = Duration::from_secs(2);
    let mut last = (0, Instant::now());
    wait_until(
        "the shadow has worked its queue off",
        DEADLINE,
        async || {
            let seen = offered(&rig.host.progress().await?);
            if seen != last.0 {
                last = (seen, Instant::now());
            }
            Ok(match last.1.elapsed() > WHILE {
                true => Look::Done(seen),
                false => Look::NotYet(format!("{seen} documents")),
            })
        },
    )
    .await
}

/// Waits until every document that the shadow was offered is accounted for.
async fn accounted(rig: &Rig, documents: u64) -> Result<Value> {
    let seen = |progress: &Value| offered(progress) == documents;
    let progress = rig
        .host
        .wait_until("the shadow has seen all", DEADLINE, seen)
        .await?;
    Ok(progress["shadows"][0].clone())
}

fn documents(ids: std::ops::Range<i32>) -> Vec<Document> {
    let text = "a-private-text ".repeat(60);
    ids.map(|id| doc! { "_id": id, "text": &text }).collect()
}

/// In the copy and in the stream the shadow sees what the build in use sees; all that is written is of the build in use.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn f219_a_shadow_is_compared_and_writes_nothing() -> Result<()> {
    let rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    let source = rig.source_db("app");
    for from in (0..5_000).step_by(1_000) {
        insert(&source, "c", documents(from..from + 1_000)).await?;
    }
    upload(&rig, FIRST).await?;
    let fixed = upload(&rig, FIXED).await?;
    let first_insert = commands("insert").of("app.c").first();
    let held = rig.proxies()?.destination.on(first_insert).hold();
    rig.host.start(json!({ "plugins": [{ "component": upload(&rig, FIRST).await? }], "verification": false })).await?;
    held.seen().await?;
    begin(
        &rig,
        json!({ "name": "stamp", "digest": fixed, "contents": true }),
    )
    .await?;
    held.release().await?;
    rig.host.wait_can_commit().await?;
    let offered = settled(&rig).await?;
    ensure!(
        (1..5_000).contains(&offered),
        "the first batch was before it: {offered}"
    );

    insert(&source, "c", documents(5_000..5_030)).await?;
    wait_in_step(&rig).await?;
    let shadow = accounted(&rig, offered + 30).await?;
    ensure!(
        shadow["different"] == shadow["documents"] && shadow["failed"] == 0,
        "{shadow}"
    );
    ensure!(
        shadow["slot"] == "plugins[0]" && shadow["digest"] == fixed.as_str(),
        "{shadow}"
    );
    ensure!(
        shadow["ended"].is_null() && shadow["p99Micros"].as_u64() > Some(0),
        "{shadow}"
    );

    let shown = show(&rig, "").await?;
    let report = &shown["shadows"][0];
    ensure!(
        report["paths"] == json!({ "stamp": shadow["different"] }),
        "{report}"
    );
    let samples = report["samples"].as_array().context("samples")?;
    ensure!(samples.len() == 20, "{report}");
    let sample = &samples[0];
    ensure!(
        sample["current"] == "replaced" && sample["paths"] == json!(["stamp"]),
        "{sample}"
    );
    // Contents were asked for, and are at their own path alone.
    let contents = show(&rig, "/contents").await?;
    let both = &contents["documents"][0];
    ensure!(
        both["current"]["stamp"] == "first" && both["shadow"]["stamp"] == "fixed",
        "{both}"
    );
    let metrics = rig.host.call("GET", "/metrics", "").await?.body.to_string();
    ensure!(
        metrics.contains("tidegate_shadow_documents_total"),
        "no metrics"
    );
    let page = rig.host.call("GET", "/", "").await?.body.to_string();
    ensure!(page.contains("Shadows"), "not in the console");
    for text in [shown.to_string(), metrics, page, rig.log.lines()?.concat()] {
        ensure!(!text.contains("a-private-text"), "{text}");
    }
    let session = metadata(&rig, "session").await?;
    ensure!(
        !format!("{session:?}").contains("shadow"),
        "it is persisted"
    );

    let copied = rig.destination_db("app").collection::<Document>("c");
    let stamped = copied.count_documents(doc! { "stamp": "first" }).await?;
    let all = copied.count_documents(doc! {}).await?;
    ensure!(all > 0 && stamped == all, "{stamped} of {all} are stamped");
    end(&rig).await?;
    rig.commit().await?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// A shadow that traps, hangs and gives up costs the sync nothing but copies of batches, and is given up itself.
#[tokio::test]
async fn f220_a_faulty_shadow_neither_stops_nor_slows_the_sync() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a plugin trapped");
    let source = rig.source_db("app");
    insert(&source, "c", documents(0..10)).await?;
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    let faulty = upload_guest(&rig, FAULTY).await?;
    rig.host
        .start(json!({ "plugins": [{ "component": fixed }] }))
        .await?;
    rig.host.wait_can_commit().await?;
    begin(&rig, json!({ "name": "faulty", "component": faulty })).await?;

    // Ten seconds in a call, and again where the document is alone: 50 MiB come meanwhile.
    insert(&source, "c", vec![doc! { "_id": "loop", "fault": "loop" }]).await?;
    wait_in_step(&rig).await?;
    let began = Instant::now();
    for id in 1_000..1_050 {
        insert(
            &source,
            "c",
            vec![doc! { "_id": id, "text": "x".repeat(1 << 20) }],
        )
        .await?;
    }
    let progress = wait_in_step(&rig).await?;
    let waited = began.elapsed();
    let shadow = &progress["shadows"][0];
    ensure!(shadow["skipped"].as_u64() > Some(0), "it kept up: {shadow}");
    ensure!(
        shadow["documents"] == 0,
        "it was not busy: {shadow}, {waited:?}"
    );
    ensure!(progress["plugins"][0]["kept"] == 61, "{progress:#}");
    let shadow = accounted(&rig, 51).await?;
    ensure!(shadow["traps"] == 2 && shadow["different"] == 1, "{shadow}");

    insert(
        &source,
        "c",
        vec![doc! { "_id": "fatal", "fault": "fatal" }],
    )
    .await?;
    wait_in_step(&rig).await?;
    let shadow = accounted(&rig, 52).await?;
    ensure!(shadow["failed"] == 1, "{shadow}");
    let failure = shadow["failure"].as_str().context("a reason")?;
    ensure!(failure.contains("a document asked for it"), "{failure}");
    for id in 0..20 {
        insert(
            &source,
            "c",
            vec![doc! { "_id": format!("p{id}"), "fault": "panic" }],
        )
        .await?;
    }
    wait_in_step(&rig).await?;
    let given_up = |progress: &Value| progress["shadows"][0]["ended"] == "traps";
    rig.host
        .wait_until("it is given up", DEADLINE, given_up)
        .await?;
    ensure!(show(&rig, "/contents").await?["documents"][0]["shadow"].is_null());
    rig.finish().await?;
    Ok(())
}

/// A shadow ends with a swap, with its deletion and with the process; what does not fit is refused and changes nothing.
#[tokio::test]
async fn f221_a_shadow_ends_with_a_swap_a_deletion_and_a_restart() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    insert(&source, "c", documents(0..10)).await?;
    let first = upload(&rig, FIRST).await?;
    let fixed = upload(&rig, FIXED).await?;
    let faulty = upload_guest(&rig, FAULTY).await?;
    let body = json!({ "name": "stamp", "digest": fixed });
    refused(&rig, "shadow", body.clone(), "InvalidStateTransition").await?;
    rig.host.arguments_mut().more = Vec::new();
    let mut options = stamped();
    options["plugins"][0]["component"] = json!(first);
    rig.host.start(options).await?;
    rig.host.wait_can_commit().await?;
    for (body, error) in [
        (
            json!({ "name": "stamp", "digest": "sha256:00" }),
            "PluginNotFound",
        ),
        (
            json!({ "name": "namespace-filter", "digest": fixed }),
            "PluginNotFound",
        ),
        (
            json!({ "name": "stamp", "digest": faulty }),
            "IncompatiblePlugin",
        ),
    ] {
        refused(&rig, "shadow", body, error).await?;
    }
    ensure!(show(&rig, "").await?["shadows"] == json!([]));

    rig.host.pause().await?;
    begin(&rig, body.clone()).await?;
    rig.host.resume().await?;
    insert(&source, "c", documents(10..20)).await?;
    wait_in_step(&rig).await?;
    ensure!(accounted(&rig, 10).await?["different"] == 10);
    upgraded(&rig, &fixed, "refuse").await?;
    insert(&source, "c", documents(20..30)).await?;
    wait_in_step(&rig).await?;
    let shadow = accounted(&rig, 10).await?;
    ensure!(
        shadow["ended"] == "swapped" && shadow["against"] == first.as_str(),
        "{shadow}"
    );
    end(&rig).await?;

    // The build that was in use before, as the shadow of the next.
    begin(&rig, json!({ "name": "stamp", "digest": first })).await?;
    ensure!(accounted(&rig, 0).await?["against"] == fixed.as_str());
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    ensure!(show(&rig, "").await?["shadows"] == json!([]), "it survived");
    tokio::time::timeout(Duration::from_secs(60), rig.commit()).await??;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}
