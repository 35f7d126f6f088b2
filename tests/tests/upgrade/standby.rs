//! A standby of release 0.2.0 while a newer host migrates the metadata and takes the sync over.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use support::{
    Host, Rig, doc,
    host::{self, DEADLINE, text},
    release,
    rig::Options,
    upgrade::Persisted,
};
use tidegate::metadata::METADATA_VERSION;

/// It refuses the newer metadata by name, shows the parts that it can read, and takes nothing over.
#[tokio::test]
async fn a_standby_of_0_2_0_refuses_newer_metadata_and_goes_on_answering() -> Result<()> {
    let mut rig = Rig::with(Options {
        host_binary: Some(release::binary("0.2.0")?),
        ..Options::default()
    })
    .await?;
    let documents = (0..100).map(|number| doc! { "_id": number });
    let collection = rig.source_db("app").collection("c");
    collection.insert_many(documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let mut standby = Host::spawn(rig.host.arguments().clone()).await?;

    // The old standby stands still while the new host takes the sync over.
    standby.process()?.freeze()?;
    rig.host.terminate().await?;
    rig.host.arguments_mut().binary = host::binary()?;
    rig.host.restart().await?;
    let ours = rig.host.wait_can_commit().await?;
    standby.process()?.thaw()?;

    let refuses = |progress: &Value| {
        let warnings = progress["warnings"].to_string();
        warnings.contains(&format!("metadata has version {METADATA_VERSION}"))
    };
    let shown = standby
        .wait_until("the standby refuses", DEADLINE, refuses)
        .await?;
    ensure!(text(&shown, "state") == "RUNNING", "{shown:#}");
    let copied = |progress: &Value| progress.pointer("/collectionCopy").cloned();
    ensure!(
        copied(&shown) == copied(&ours),
        "the standby shows {shown:#}"
    );
    ensure!(standby.terminate().await?.success());
    ensure!(Persisted::read(&rig.destination).await?.metadata_version == METADATA_VERSION);
    rig.allow_log("the sync cannot be taken over yet");
    rig.finish().await?;
    Ok(())
}
