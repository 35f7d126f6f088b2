//! A step of the metadata that fails (scenario 73).

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use bson::doc;
use support::{
    Rig, host,
    host::number,
    metadata::{Entry, dump},
    workload::{self, dataset},
};

use super::{
    builds::{FeatureSets, arguments},
    guests::HALF_STEP,
};
use crate::steps;

/// It traps when it has answered for most documents: the metadata is as it was, the host ends with
/// the name of what failed, and a host with the right step goes on.
#[tokio::test]
async fn s73_a_step_that_traps_changes_nothing() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = Rig::start().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), 1000, 1).await?;
    rig.host.start(dataset::filters()).await?;
    let before = rig.host.wait_can_commit().await?;
    rig.host.terminate().await?;
    roll_back(&rig, &host::binary()?)?;
    let old = without_lease(&rig).await?;

    rig.host.arguments_mut().more = arguments(&sets.with_step(HALF_STEP)?);
    let Err(refusal) = rig.host.restart().await else {
        bail!("half a step was taken");
    };
    let refusal = format!("{refusal:#}");
    for word in ["MigrationFailed", "half-step", "position"] {
        ensure!(refusal.contains(word), "no {word} in: {refusal}");
    }
    ensure!(without_lease(&rig).await? == old, "half a step was written");

    rig.host.arguments_mut().more.clear();
    rig.host.restart().await?;
    rig.host.wait_for_state("RUNNING").await?;
    let after = rig.host.wait_can_commit().await?;
    let copied = |progress| number(progress, "/collectionCopy/estimatedCopiedBytes");
    ensure!(copied(&after) == copied(&before), "{after:#}");
    steps::insert(&rig.source_db("app"), "late", vec![doc! { "_id": 1 }]).await?;
    rig.allow_log("a plugin trapped");
    rig.allow_log("MigrationFailed");
    rig.finish().await?;
    sets.remove();
    Ok(())
}

fn roll_back(rig: &Rig, binary: &Path) -> Result<()> {
    let output = Command::new(binary)
        .args(["metadata", "rollback"])
        .args(["--cluster0", &rig.source.uri()])
        .args(["--cluster1", &rig.destination.uri()])
        .output()
        .context("run the rollback")?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "the rollback failed: {printed}");
    Ok(())
}

/// The lease comes and goes with every host.
async fn without_lease(rig: &Rig) -> Result<Vec<Entry>> {
    let mut entries = dump(&rig.destination).await?;
    entries.retain(|entry| entry.collection != "lease");
    Ok(entries)
}
