//! The main job: a set with every kind of object is copied while a writer changes it, and both clusters are equal
//! after commit.

use anyhow::Result;
use serde_json::json;
use support::{
    Rig, Writer,
    host::number,
    rig::Options,
    workload::{self, Pace, dataset},
};

const DOCUMENTS: u64 = 20_000;

#[tokio::test]
async fn a_live_set_is_copied_and_committed() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, 7).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 7, Pace::default());
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    let counts = writer.stop().await?;
    assert!(counts.total() > 0);
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn writes_after_the_copy_arrive_and_survive_pause_and_resume() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), 2000, 8).await?;
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    let writer = Writer::start(rig.source.client(), 2000, 8, Pace::default());
    rig.host
        .wait_until("events are applied", support::host::DEADLINE, |progress| {
            number(progress, "/totalEventsApplied") > 200
        })
        .await?;
    rig.host.pause().await?;
    let paused = rig.host.progress().await?;
    assert_eq!(paused["state"], "PAUSED");
    rig.host.resume().await?;
    writer.stop().await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn clusters_with_key_file_users_and_tls_are_synced() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), 500, 9).await?;
    rig.host.start(dataset::filters()).await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn an_empty_source_commits() -> Result<()> {
    let rig = Rig::start().await?;
    rig.host.start(json!({})).await?;
    rig.finish().await?;
    Ok(())
}
