//! Components swapped in a running sync: between two batches, persisted with the time from which the new component
//! applies, all of a request or none (scenario 72).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Timestamp, doc};
use serde_json::json;
use support::{
    Rig,
    host::{DEADLINE, number},
    proxy::commands,
};

use super::{
    builds::{
        AllStamped, Build, FIRST, FIXED, Load, OTHER, Timeline, Times, pinned, since, stamped,
        time, upgrade, upgraded, upload, write_one,
    },
    guests::{FAULTY, FAULTY_FIXED, upload_guest},
};
use crate::{
    copy_states::{hold_builds, one_worker, wait_for_build, wait_in_step_beside},
    steps::{count, insert, refused, run, wait_in_step},
};

/// Starts a sync of `app.c` with the first build, and waits until the stream applies events.
async fn running(rig: &Rig, times: &mut Times) -> Result<()> {
    upload(rig, FIRST).await?;
    let source = rig.source_db("app");
    let next = times.len() as i32;
    for id in next..next + 50 {
        write_one(&source, times, id).await?;
    }
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    Ok(())
}

/// Swapped under load, and killed before and after the swap is persisted and carried out: each document has the
/// answer of the build that applied at its time.
#[tokio::test]
async fn s72_each_document_has_the_answer_of_its_time() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    let mut times = Times::new();
    for point in [
        None,
        Some("swap_ready"),
        Some("swap_persisted"),
        Some("swap_switched"),
    ] {
        rig.begin_again(point).await?;
        times = swapped_under_load(&mut rig, times, point)
            .await
            .with_context(|| format!("killed at {point:?}"))?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn swapped_under_load(rig: &mut Rig, mut times: Times, point: Option<&str>) -> Result<Times> {
    running(rig, &mut times).await?;
    let fixed = upload(rig, FIXED).await?;
    let load = Load::start(rig.source_db("app"), times);
    some_load(rig).await?;
    if point.is_none() {
        upgraded(rig, &fixed, "refuse").await?;
    } else {
        // The answer is lost with the host.
        ensure!(
            upgrade(rig, &fixed, "refuse").await.is_err(),
            "the host lives"
        );
        rig.host.wait_for_end().await?;
        rig.host.restart().await?;
    }
    let is_persisted = pinned(rig, "plugins[0]").await?["digest"] == fixed.as_str();
    ensure!(is_persisted == (point != Some("swap_ready")), "{point:?}");
    some_load(rig).await?;
    if !is_persisted {
        upgraded(rig, &fixed, "refuse").await?;
        some_load(rig).await?;
    }
    let from = since(rig, "plugins[0]").await?;
    // A replay begins after the swap.
    rig.host.restart().await?;
    some_load(rig).await?;
    let times = load.stop().await?;
    wait_in_step(rig).await?;
    ensure!(since(rig, "plugins[0]").await? == from);
    let swaps = vec![(from, FIXED.stamp)];
    let timeline = Timeline::of(rig, times.clone(), FIRST.stamp, swaps).await?;
    ensure!(timeline.counts().len() == 2, "{:?}", timeline.counts());
    rig.expect(timeline);
    rig.commit().await?;
    rig.compare().await?;
    Ok(times)
}

/// Waits until some more events are applied.
async fn some_load(rig: &Rig) -> Result<()> {
    let applied = rig.host.progress().await?["totalEventsApplied"].as_u64();
    rig.host
        .wait_until("events are applied", DEADLINE, |progress| {
            progress["totalEventsApplied"].as_u64() > applied.map(|applied| applied + 100)
        })
        .await?;
    Ok(())
}

/// While collections are copied there is a batch before a swap and a batch after it.
#[tokio::test]
async fn s72_a_swap_in_the_copy_lies_between_two_batches() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    let text = "x".repeat(2_000);
    for from in (0..60_000).step_by(10_000) {
        let documents = (from..from + 10_000).map(|id| doc! { "_id": id, "text": &text });
        insert(&source, "c", documents.collect()).await?;
    }
    upload(&rig, FIRST).await?;
    rig.host.start(stamped()).await?;
    let fixed = upload(&rig, FIXED).await?;
    rig.host
        .wait_until("some is copied", DEADLINE, |progress| {
            progress["collectionCopy"]["estimatedCopiedBytes"].as_u64() > Some(10 << 20)
        })
        .await?;
    upgraded(&rig, &fixed, "refuse").await?;
    let progress = rig.host.progress().await?;
    ensure!(
        progress["info"] == "collection copy",
        "the copy was over: {}",
        progress["info"]
    );
    ensure!(progress["plugins"][0]["digest"] == fixed.as_str());
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    let mut stamps = Vec::new();
    for stamp in [FIRST.stamp, FIXED.stamp] {
        let filter = doc! { "stamp": stamp };
        let copied = rig.destination_db("app").collection::<bson::Document>("c");
        stamps.push(copied.count_documents(filter).await?);
    }
    ensure!(
        stamps.iter().all(|count| *count > 0) && stamps.iter().sum::<u64>() == 60_000,
        "{stamps:?}"
    );
    // All documents are written again, and get the stamp of the new build.
    let all = doc! { "q": {}, "u": { "$set": { "again": true } }, "multi": true };
    crate::steps::run(&source, doc! { "update": "c", "updates": [all] }).await?;
    rig.expect(AllStamped(FIXED.stamp));
    rig.finish().await?;
    Ok(())
}

/// A paused sync is swapped at rest, and goes on with the new component.
#[tokio::test]
async fn a_paused_sync_is_swapped_at_rest() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mut times = Times::new();
    running(&rig, &mut times).await?;
    let fixed = upload(&rig, FIXED).await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    let source = rig.source_db("app");
    for restarts in [false, true] {
        let digest = if restarts {
            upload(&rig, FIRST).await?
        } else {
            fixed.clone()
        };
        upgraded(&rig, &digest, "refuse").await?;
        ensure!(pinned(&rig, "plugins[0]").await?["digest"] == digest.as_str());
        if restarts {
            rig.host.restart().await?;
        }
        let id = times.len() as i32;
        write_one(&source, &mut times, id).await?;
        rig.host.resume().await?;
        wait_in_step(&rig).await?;
        rig.host.pause().await?;
    }
    let destination = rig.destination_db("app");
    for (id, stamp) in [(0, FIRST.stamp), (50, FIXED.stamp), (51, FIRST.stamp)] {
        let document = crate::steps::find(&destination, "c", id)
            .await?
            .context("a document")?;
        ensure!(document.get_str("stamp")? == stamp, "{document}");
    }
    rig.host.resume().await?;
    let swaps = swaps(&rig, &[FIXED.stamp, FIRST.stamp]).await?;
    rig.expect(Timeline::of(&rig, times, FIRST.stamp, swaps).await?);
    rig.finish().await?;
    Ok(())
}

/// A swap while an index is built stops neither the build nor the events. In a commit it is refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn s72_a_swap_beside_an_index_build_and_none_in_a_commit() -> Result<()> {
    let mut rig = Rig::with(one_worker()).await?;
    let first = upload(&rig, FIRST).await?;
    let (source, mut times) = (rig.source_db("app"), Times::new());
    for id in 0..50 {
        write_one(&source, &mut times, id).await?;
    }
    let index = doc! { "key": { "_id": 1, "x": 1 }, "name": "unique", "unique": true };
    run(&source, doc! { "createIndexes": "c", "indexes": [index] }).await?;
    hold_builds(&rig, true).await?;
    rig.host.start(stamped()).await?;
    wait_for_build(&rig, "app.c").await?;
    let fixed = upload(&rig, FIXED).await?;
    upgraded(&rig, &fixed, "refuse").await?;
    write_one(&source, &mut times, 50).await?;
    wait_in_step_beside(&rig).await?;
    hold_builds(&rig, false).await?;
    rig.host.wait_can_commit().await?;
    let held = rig
        .proxies()?
        .destination
        .on(commands("collMod").first())
        .hold();
    rig.host.commit().await?;
    held.seen().await?;
    let answer = upgrade(&rig, &first, "refuse").await?;
    ensure!(answer.error() == "InvalidStateTransition", "{answer:?}");
    held.release().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let swaps = swaps(&rig, &[FIXED.stamp]).await?;
    rig.expect(Timeline::of(&rig, times, FIRST.stamp, swaps).await?);
    rig.close().await?;
    Ok(())
}

/// When the swaps of the sync were, with the stamps that they brought.
async fn swaps(rig: &Rig, stamps: &[&'static str]) -> Result<Vec<(Timestamp, &'static str)>> {
    let progress = rig.host.progress().await?;
    let swaps = progress["featureSet"]["swaps"]
        .as_array()
        .context("swaps")?;
    ensure!(swaps.len() == stamps.len(), "{swaps:?}");
    let swaps = swaps.iter().zip(stamps);
    swaps
        .map(|(swap, stamp)| Ok((time(&swap["clusterTime"]).context("a time")?, *stamp)))
        .collect()
}

/// A fault of any of them: none is swapped, and the sync goes on as before.
#[tokio::test]
async fn of_one_request_all_are_swapped_or_none() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a plugin trapped");
    rig.expect(AllStamped(FIRST.stamp));
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    let faulty = upload_guest(&rig, FAULTY).await?;
    upload(&rig, FIRST).await?;
    let plugins = json!([{ "component": faulty }, { "component": "stamp" }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    let before = rig.host.progress().await?["featureSet"].clone();
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    let broken = upload(
        &rig,
        Build {
            manner: "trap",
            ..FIXED
        },
    )
    .await?;
    let elsewhere = upload(
        &rig,
        Build {
            manner: "move",
            ..FIXED
        },
    )
    .await?;
    let other = upload(&rig, OTHER).await?;
    for (digest, on_incompatible, error) in [
        (broken.as_str(), "refuse", "PluginTrapped"),
        (&broken, "recopy", "PluginTrapped"),
        (&elsewhere, "recopy", "IncompatiblePlugin"),
        (&other, "refuse", "IncompatiblePlugin"),
        (&fixed, "recopy", "IncompatiblePlugin"),
        ("sha256:00", "refuse", "PluginNotFound"),
    ] {
        let components = json!([
            { "name": "faulty", "digest": fixed },
            { "name": "stamp", "digest": digest },
        ]);
        let body = json!({ "components": components, "onIncompatible": on_incompatible });
        refused(&rig, "upgrade", body, error).await?;
        ensure!(
            rig.host.progress().await?["featureSet"] == before,
            "{error}"
        );
    }
    let answer = upgrade(&rig, &other, "refuse").await?;
    ensure!(
        answer.body.to_string().contains("recopy"),
        "{}",
        answer.body
    );
    let answer = upgrade(&rig, &elsewhere, "recopy").await?;
    ensure!(answer.body.to_string().contains("app.c"), "{}", answer.body);
    insert(&source, "c", vec![doc! { "_id": 2 }]).await?;
    wait_in_step(&rig).await?;
    ensure!(count(&rig.destination_db("app"), "c").await? == 2);
    rig.finish().await?;
    Ok(())
}

/// A swap that changes nothing is none.
#[tokio::test]
async fn the_component_in_use_is_no_swap() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mut times = Times::new();
    running(&rig, &mut times).await?;
    let first = upload(&rig, FIRST).await?;
    upgraded(&rig, &first, "refuse").await?;
    let progress = rig.host.progress().await?;
    ensure!(progress["featureSet"]["swaps"] == json!([]));
    rig.expect(AllStamped(FIRST.stamp));
    rig.finish().await?;
    Ok(())
}

/// Time for which the stream stands still: the cost of a swap. The component is compiled before.
#[tokio::test]
async fn a_swap_is_short() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mut times = Times::new();
    running(&rig, &mut times).await?;
    let digests = [upload(&rig, FIXED).await?, upload(&rig, FIRST).await?];
    let load = Load::start(rig.source_db("app"), times);
    for digest in digests.iter().cycle().take(10) {
        some_load(&rig).await?;
        upgraded(&rig, digest, "refuse").await?;
    }
    let times = load.stop().await?;
    wait_in_step(&rig).await?;
    let progress = rig.host.progress().await?;
    let swaps = progress["featureSet"]["swaps"]
        .as_array()
        .context("swaps")?;
    ensure!(swaps.len() == 10, "{swaps:?}");
    let stamps = [FIXED.stamp, FIRST.stamp].into_iter().cycle();
    let swaps: Option<Vec<_>> = swaps
        .iter()
        .zip(stamps)
        .map(|(swap, stamp)| Some((super::builds::time(&swap["clusterTime"])?, stamp)))
        .collect();
    let elapsed = swap_times(&rig)?;
    eprintln!("swaps: {elapsed:?}");
    ensure!(elapsed.len() == 10 && elapsed.iter().all(|one| *one < Duration::from_secs(2)));
    let swaps = swaps.context("times")?;
    rig.expect(Timeline::of(&rig, times, FIRST.stamp, swaps).await?);
    rig.finish().await?;
    Ok(())
}

/// Duration of each swap, from the log.
fn swap_times(rig: &Rig) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for line in rig.log.lines()? {
        let line: serde_json::Value = serde_json::from_str(&line)?;
        if line["message"] == "components swapped" {
            let elapsed = line["elapsed_ms"].as_u64().context("a time")?;
            times.push(Duration::from_millis(elapsed));
        }
    }
    Ok(times)
}

/// Builds of one semantics have to answer the same. The verification finds the documents of a build that did not, also
/// those that were verified before the swap, and a repair writes them again by the present build.
#[tokio::test]
async fn f107_a_repair_ends_the_answers_of_an_earlier_build() -> Result<()> {
    for moment in ["running", "paused", "killed after the swap is persisted"] {
        let mut rig = Rig::start().await?;
        rig.allow_log("killed by TIDEGATE_KILL_AT");
        rig.begin_again((moment.starts_with("killed")).then_some("swap_persisted"))
            .await?;
        rig.allow_log("a document differs");
        rig.allow_log("mismatches");
        upload(&rig, FIRST).await?;
        let source = rig.source_db("app");
        let documents = (0..20).map(|id| doc! { "_id": id });
        insert(&source, "c", documents.collect()).await?;
        let mut options = stamped();
        options["verification"] = json!(true);
        rig.host.start(options).await?;
        rig.host
            .wait_until("all is verified", DEADLINE, |progress| {
                number(progress, "/verification/source/hashedDocumentCount") == 20
            })
            .await?;
        if moment == "paused" {
            rig.host.pause().await?;
        }
        let fixed = upload(&rig, FIXED).await?;
        match upgrade(&rig, &fixed, "refuse").await {
            Err(_) if moment.starts_with("killed") => {
                rig.host.wait_for_end().await?;
                rig.host.restart().await?;
            }
            swapped => ensure!(swapped?.status == 200, "{moment}"),
        }
        if moment == "paused" {
            rig.host.resume().await?;
        }
        insert(&source, "c", vec![doc! { "_id": 20 }]).await?;
        rig.host
            .wait_until("20 documents differ", DEADLINE, |progress| {
                number(progress, "/verification/mismatches") == 20
            })
            .await?;
        let repaired = rig
            .host
            .call("POST", "/api/v1/verification/repair", "")
            .await?;
        ensure!(repaired.status == 200, "{}", repaired.body);
        rig.host
            .wait_until("nothing differs", DEADLINE, |progress| {
                number(progress, "/verification/mismatches") == 0
            })
            .await?;
        rig.expect(AllStamped(FIXED.stamp));
        rig.finish().await?;
    }
    Ok(())
}
