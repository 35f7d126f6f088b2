//! A step of the metadata that fails or is refused (scenario 73, finding 07).

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use bson::{Bson, Document, doc};
use serde_json::json;
use support::{
    Rig, host,
    host::number,
    metadata::{DATABASE, Entry, dump},
    workload::{self, dataset},
};

use super::{
    builds::{FeatureSets, arguments},
    guests::HALF_STEP,
};
use crate::steps::{self, run};

/// It traps after it has answered for most documents: the metadata is unchanged, the host exits with the name of
/// the failed component, and a host with the right step goes on.
#[tokio::test]
async fn s73_a_step_that_traps_changes_nothing() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = Rig::start().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), 1000, 1).await?;
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    // The position, at which the step traps, is there from then on.
    let before = steps::wait_in_step(&rig).await?;
    rig.host.terminate().await?;
    roll_back(&rig, &host::binary()?)?;
    let old = without_lease(&rig).await?;

    rig.host.arguments_mut().more = arguments(&sets.with_step(HALF_STEP)?);
    let Err(refusal) = rig.host.restart().await else {
        bail!("half a step was taken");
    };
    let refusal = format!("{refusal:#}");
    for word in ["MigrationFailed", "half-step", "streamPosition"] {
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

/// A host of version 3 knows no parked keys: the step back is refused and changes nothing, and hosts
/// without a lease are shut out as before.
#[tokio::test]
async fn f07_a_step_back_is_refused_while_a_key_is_parked() -> Result<()> {
    let mut rig = Rig::start().await?;
    steps::insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.terminate().await?;
    let metadata = rig.destination_db(DATABASE);
    let namespaces = steps::metadata(&rig, "namespaces").await?;
    let collection = namespaces
        .first()
        .context("no namespace")?
        .get_str("_id")?
        .to_owned();
    let parked = doc! {
        "_id": format!("{collection}:0:00"), "namespaceId": &collection, "documentId": { "_id": 1 },
        "clusterTime": bson::Timestamp { time: 1, increment: 1 }, "term": 1_i64,
    };
    steps::insert(&metadata, "parkedKeys", vec![parked]).await?;
    let binary = host::binary()?;
    metadata_command(&rig, &binary, "check")?;
    metadata_command(&rig, &binary, "show")?;
    let exported = metadata_command(&rig, &binary, "export")?;
    let holds = |name: &str| exported.contains(&format!("\"collection\":\"{name}\""));
    ensure!(
        holds("streamPosition") && holds("copyPartitions") && holds("parkedKeys"),
        "{exported}"
    );
    ensure!(
        !holds("position") && !holds("partitions") && !holds("system.views"),
        "views are exported: {exported}"
    );

    roll_back(&rig, &binary)?;
    let before = (without_lease(&rig).await?, shapes(&rig).await?);
    let Err(refusal) = roll_back(&rig, &binary) else {
        bail!("taken back with a parked key");
    };
    let refusal = format!("{refusal:#}");
    for word in [
        "MigrationFailed",
        collection.as_str(),
        "go on with the release",
    ] {
        ensure!(refusal.contains(word), "no {word} in: {refusal}");
    }
    let after = (without_lease(&rig).await?, shapes(&rig).await?);
    ensure!(after == before, "a refused step has changed metadata");

    let parked = metadata.collection::<Document>("parkedKeys");
    parked.delete_many(doc! {}).await?;
    roll_back(&rig, &binary)?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    ensure!(
        shapes(&rig).await? == before.1,
        "old hosts are not shut out"
    );
    rig.finish().await?;
    Ok(())
}

/// Type and options of the metadata's collections, by name.
async fn shapes(rig: &Rig) -> Result<Vec<Document>> {
    let database = rig.destination_db(DATABASE);
    let listed = run(&database, doc! { "listCollections": 1 }).await?;
    let listed = listed.get_document("cursor")?.get_array("firstBatch")?;
    let mut shapes = Vec::new();
    for collection in listed.iter().filter_map(Bson::as_document) {
        let mut shape = collection.clone();
        shape.remove("info");
        shapes.push(shape);
    }
    shapes.sort_by_key(|shape| shape.get_str("name").map(str::to_owned).ok());
    Ok(shapes)
}

fn roll_back(rig: &Rig, binary: &Path) -> Result<()> {
    metadata_command(rig, binary, "rollback").map(drop)
}

/// Runs `tidegate metadata` and returns its output.
fn metadata_command(rig: &Rig, binary: &Path, task: &str) -> Result<String> {
    let output = Command::new(binary)
        .args(["metadata", task])
        .args(["--cluster0", &rig.source.uri()])
        .args(["--cluster1", &rig.destination.uri()])
        .output()
        .with_context(|| format!("run {task}"))?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{task} failed: {printed}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The lease comes and goes with every host.
async fn without_lease(rig: &Rig) -> Result<Vec<Entry>> {
    let mut entries = dump(&rig.destination).await?;
    entries.retain(|entry| entry.collection != "lease");
    Ok(entries)
}
