//! A component with other semantics, swapped in with `recopy`: its collections are copied again, followed by the
//! stream, and end as if the sync had begun with it.

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE};

use super::builds::{
    AllStamped, Build, FIRST, Load, OTHER, Times, pinned, stamped, upgrade, upgraded, upload,
    write_one,
};
use crate::steps::{find, insert, metadata, run, wait_in_step};

/// Loads two collections, with a unique index in one of them, and starts a sync with the first build.
async fn start(rig: &Rig, times: &mut Times) -> Result<()> {
    let source = rig.source_db("app");
    let next = times.len() as i32;
    for id in next..next + 50 {
        write_one(&source, times, id).await?;
    }
    if next == 0 {
        let large = (0..20_000).map(|id| doc! { "_id": id, "number": id, "text": "y".repeat(500) });
        insert(&source, "large", large.collect()).await?;
        let index = doc! { "key": { "number": 1 }, "name": "n", "unique": true };
        run(
            &source,
            doc! { "createIndexes": "large", "indexes": [index] },
        )
        .await?;
        run(
            &source,
            doc! { "create": "v", "viewOn": "large", "pipeline": [] },
        )
        .await?;
    }
    upload(rig, FIRST).await?;
    rig.host.start(stamped()).await?;
    Ok(())
}

fn is_other(progress: &Value, digest: &str) -> bool {
    progress["featureSet"]["pinned"][1]["digest"] == digest
}

/// Under load, and killed at each of its points. Writes continue, DDL among them.
#[tokio::test]
async fn everything_is_copied_again_whatever_kills_it() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    rig.expect(AllStamped(OTHER.stamp));
    let mut times = Times::new();
    for point in [
        None,
        Some("swap_ready"),
        Some("swap_persisted"),
        Some("recopy_marked"),
        Some("comparison_begun"),
        Some("comparison_begun:2"),
        Some("recopy_done"),
    ] {
        rig.begin_again(point).await?;
        times = copied_again(&mut rig, times, point)
            .await
            .with_context(|| format!("killed at {point:?}"))?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn copied_again(rig: &mut Rig, mut times: Times, point: Option<&str>) -> Result<Times> {
    start(rig, &mut times).await?;
    rig.host.wait_can_commit().await?;
    let other = upload(rig, OTHER).await?;
    let source = rig.source_db("app");
    let load = Load::start(source.clone(), times);
    let answer = upgrade(rig, &other, "recopy").await;
    ddl(rig).await?;
    if point.is_some() {
        rig.host.wait_for_end().await?;
        ddl(rig).await?;
        rig.host.restart().await?;
    } else {
        ensure!(answer?.status == 200, "the upgrade is refused");
    }
    if !is_other(&rig.host.progress().await?, &other) {
        ensure!(point == Some("swap_ready"), "the swap is lost");
        upgraded(rig, &other, "recopy").await?;
    }
    rig.host.wait_can_commit().await?;
    let times = load.stop().await?;
    wait_in_step(rig).await?;
    let progress = rig.host.progress().await?;
    let swap = &progress["featureSet"]["swaps"][0];
    ensure!(
        swap["recopied"] == true && swap["toVersion"] == OTHER.version,
        "{swap}"
    );
    let session = metadata(rig, "session").await?;
    ensure!(
        session[0].get("recopy").is_none(),
        "the list is not cleared"
    );
    rig.commit().await?;
    rig.compare().await?;
    Ok(times)
}

/// A collection is created, another is renamed, and an index is created and dropped.
async fn ddl(rig: &Rig) -> Result<()> {
    let source = rig.source_db("app");
    let name = format!("n{}", rand::random::<u32>());
    insert(&source, &name, vec![doc! { "_id": 1 }]).await?;
    let admin = |command| rig.source.admin(command);
    let renamed = format!("app.{name}x");
    admin(doc! { "renameCollection": format!("app.{name}"), "to": renamed }).await?;
    let index = doc! { "key": { "text": 1 }, "name": name.as_str() };
    run(
        &source,
        doc! { "createIndexes": "large", "indexes": [index] },
    )
    .await?;
    run(&source, doc! { "dropIndexes": "large", "index": name }).await?;
    Ok(())
}

/// Paused in the middle, and requested once more: the last request wins.
#[tokio::test]
async fn a_second_swap_in_the_middle_begins_anew() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mut times = Times::new();
    start(&rig, &mut times).await?;
    rig.host.wait_can_commit().await?;
    let other = upload(&rig, OTHER).await?;
    upgraded(&rig, &other, "recopy").await?;
    let third = Build {
        version: "9.0.0",
        semantics: 3,
        stamp: "third",
        ..FIRST
    };
    let third = (upload(&rig, third).await?, third.stamp);
    upgraded(&rig, &third.0, "recopy").await?;
    rig.host.pause().await?;
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    rig.expect(AllStamped(third.1));
    rig.finish().await?;
    Ok(())
}

/// During the first copy: copied collections are copied again with the rest.
#[tokio::test]
async fn in_the_first_copy_it_is_part_of_it() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.expect(AllStamped(OTHER.stamp));
    let source = rig.source_db("app");
    let text = "x".repeat(2_000);
    for from in (0..60_000).step_by(10_000) {
        let documents = (from..from + 10_000).map(|id| doc! { "_id": id, "text": &text });
        insert(&source, "big", documents.collect()).await?;
    }
    let other = upload(&rig, OTHER).await?;
    start(&rig, &mut Times::new()).await?;
    rig.host
        .wait_until("some is copied", DEADLINE, |progress| {
            progress["collectionCopy"]["estimatedCopiedBytes"].as_u64() > Some(10 << 20)
        })
        .await?;
    upgraded(&rig, &other, "recopy").await?;
    let progress = rig.host.progress().await?;
    ensure!(
        progress["info"] == "collection copy",
        "the copy was over: {}",
        progress["info"]
    );
    ensure!(is_other(&progress, &other));
    rig.finish().await?;
    Ok(())
}

/// Documents that the old build has quarantined are decided again by the new build, which also quarantines its own.
#[tokio::test]
async fn the_quarantine_is_what_the_new_one_makes_it() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    let denied = |id: i32| doc! { "_id": id, "denied": true };
    insert(&source, "c", vec![denied(1), doc! { "_id": 2 }]).await?;
    upload(&rig, FIRST).await?;
    let plugins = json!([{ "component": "stamp", "onError": "quarantine" }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    let denying = Build {
        manner: "deny",
        ..OTHER
    };
    let third = Build {
        version: "9.0.0",
        semantics: 3,
        ..FIRST
    };
    for (build, held) in [(denying, 2), (third, 0)] {
        let digest = upload(&rig, build).await?;
        upgraded(&rig, &digest, "recopy").await?;
        insert(&source, "c", vec![denied(held + 3)]).await?;
        rig.host.wait_can_commit().await?;
        let progress = wait_in_step(&rig).await?;
        ensure!(
            progress["quarantined"] == held,
            "{}",
            progress["quarantined"]
        );
        ensure!(metadata(&rig, "quarantine").await?.len() as i32 == held);
    }
    rig.expect(AllStamped(FIRST.stamp));
    rig.finish().await?;
    Ok(())
}

/// Only the collections of the component are copied again.
#[tokio::test]
async fn what_it_does_not_see_is_not_copied_again() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.expect(|database: &str, _: &str| database == "app" || database == "other");
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    insert(&rig.source_db("other"), "c", vec![doc! { "_id": 1 }]).await?;
    upload(&rig, FIRST).await?;
    let other = upload(&rig, OTHER).await?;
    let plugins = json!([{ "component": "stamp", "namespaces": [{ "database": "nowhere" }] }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    let uuids = async || -> Result<Vec<String>> {
        let known = metadata(&rig, "namespaces").await?;
        let uuids = known.iter().map(|one| one.get_str("destinationUuid"));
        Ok(uuids
            .map(|uuid| uuid.map(str::to_owned))
            .collect::<Result<_, _>>()?)
    };
    let before = uuids().await?;
    upgraded(&rig, &other, "recopy").await?;
    wait_in_step(&rig).await?;
    ensure!(uuids().await? == before, "something was copied again");
    ensure!(pinned(&rig, "plugins[0]").await?["digest"] == other.as_str());
    ensure!(find(&rig.destination_db("app"), "c", 1).await?.is_some());
    rig.finish().await?;
    Ok(())
}
