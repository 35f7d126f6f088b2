//! The console's course of a sync, which the metadata keep over kills and takeovers.

use anyhow::{Result, ensure};
use bson::{Document, doc};
use serde_json::json;
use support::{Rig, host::DEADLINE};

use crate::steps::insert;

/// The timeline of the page.
async fn timeline(rig: &Rig) -> Result<String> {
    let page = rig.host.call("GET", "/", "").await?.body;
    let page = page.as_str().unwrap_or_default();
    let from = page.find("id=\"timeline\"").unwrap_or_default();
    Ok(page.get(from..).unwrap_or_default().to_owned())
}

/// A kill -9 loses no step of the timeline.
#[tokio::test]
async fn f109_the_course_of_a_sync_survives_a_kill() -> Result<()> {
    let mut rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.pause().await?;
    let metadata = rig.destination_db("mongosync_internal_tidegate");
    let history = metadata.collection::<Document>("history");
    let is_persisted = async || -> Result<bool> {
        let found = history.find_one(doc! {}).await?;
        Ok(found.is_some_and(|found| found.to_string().contains("PAUSED")))
    };
    let begun = std::time::Instant::now();
    while !is_persisted().await? {
        ensure!(begun.elapsed() < DEADLINE, "the pause is not persisted");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let before = timeline(&rig).await?;
    ensure!(before.contains("RUNNING"), "{before}");
    rig.host.kill()?;
    rig.host.restart().await?;
    let mut after = String::new();
    // A host that has read nothing begins with PAUSED.
    while !after.contains("RUNNING") || !after.contains("PAUSED") {
        ensure!(
            begun.elapsed() < DEADLINE,
            "{before} and after the kill {after}"
        );
        after = timeline(&rig).await?;
    }
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    rig.finish().await?;
    Ok(())
}
