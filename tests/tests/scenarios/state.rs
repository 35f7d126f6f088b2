//! Restarts that a persisted sync accepts.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::json;
use support::{
    Host, LogCheck, ReplicaSet, Rig, TestDir,
    host::{Arguments, binary},
    replica_set::Options,
};

use crate::steps::{self, insert, refused, start_body, update, wait_in_step};

/// All data of a server except the data that it changes by itself.
async fn fingerprint(set: &ReplicaSet) -> Result<Vec<Document>> {
    let mut found = Vec::new();
    for name in set.client().list_database_names().await? {
        if !["admin", "config", "local"].contains(&name.as_str()) {
            let hashes = steps::run(&set.db(&name), doc! { "dbHash": 1 }).await?;
            found.push(
                doc! { "database": name, "collections": hashes.get_document("collections")? },
            );
        }
    }
    ensure!(!found.is_empty(), "nothing to compare");
    Ok(found)
}

/// Starts a host that has to refuse these clusters, by this name.
async fn refuses_to_start(
    cluster0: &ReplicaSet,
    cluster1: &ReplicaSet,
    expected: &str,
) -> Result<()> {
    let directory = TestDir::new()?;
    let arguments = Arguments {
        binary: binary()?,
        cluster0: cluster0.uri(),
        cluster1: cluster1.uri(),
        log_path: directory.path().join("log"),
        more: Vec::new(),
        environment: Vec::new(),
    };
    let log = LogCheck::new(&arguments.log_path);
    let Err(error) = Host::spawn(arguments).await else {
        anyhow::bail!("the host runs with other clusters")
    };
    let shown = format!("{error:#}");
    ensure!(
        shown.contains(expected) || log.has(expected)?,
        "not {expected}: {shown}"
    );
    directory.remove();
    Ok(())
}

async fn begun() -> Result<Rig> {
    let rig = Rig::start().await?;
    insert(
        &rig.source_db("app"),
        "c",
        (0..20).map(|n| doc! { "_id": n }).collect(),
    )
    .await?;
    rig.host
        .start(json!({ "excludeNamespaces": [{ "database": "other" }] }))
        .await?;
    rig.host.wait_can_commit().await?;
    Ok(rig)
}

#[tokio::test]
async fn s64_restart_with_swapped_or_other_clusters() -> Result<()> {
    let mut rig = begun().await?;
    let directory = TestDir::new()?;
    let stranger = ReplicaSet::start(
        "stranger",
        directory.path().join("stranger"),
        Options::default(),
    )
    .await?;
    insert(
        &stranger.db("app"),
        "c",
        vec![doc! { "_id": "of a stranger" }],
    )
    .await?;
    rig.host.kill()?;
    update(&rig.source_db("app"), "c", 1, doc! { "$set": { "z": 1 } }).await?;
    let before = [
        fingerprint(&rig.source).await?,
        fingerprint(&rig.destination).await?,
        fingerprint(&stranger).await?,
    ];

    refuses_to_start(&rig.destination, &rig.source, "ClustersMismatch")
        .await
        .context("swapped")?;
    refuses_to_start(&stranger, &rig.destination, "ClustersMismatch")
        .await
        .context("another source")?;
    refuses_to_start(&rig.destination, &stranger, "ClustersMismatch")
        .await
        .context("both")?;
    let after = [
        fingerprint(&rig.source).await?,
        fingerprint(&rig.destination).await?,
        fingerprint(&stranger).await?,
    ];
    ensure!(before == after, "a refused host has changed something");

    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    drop(stranger);
    directory.remove();
    rig.finish().await?;
    Ok(())
}

/// Metadata that is copied to another cluster along with the data does not make it the destination.
#[tokio::test]
async fn s64_copied_metadata_is_refused() -> Result<()> {
    let mut rig = begun().await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    let directory = TestDir::new()?;
    let stranger = ReplicaSet::start(
        "stranger",
        directory.path().join("stranger"),
        Options::default(),
    )
    .await?;
    let metadata = stranger.db("mongosync_internal_tidegate");
    for collection in ["session", "namespaces", "streamPosition"] {
        insert(
            &metadata,
            collection,
            steps::metadata(&rig, collection).await?,
        )
        .await?;
    }
    refuses_to_start(&rig.source, &stranger, "ClustersMismatch").await?;
    rig.host.restart().await?;
    drop(stranger);
    directory.remove();
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn s64_restart_with_other_options() -> Result<()> {
    let mut rig = begun().await?;
    rig.host.restart().await?;
    let same = json!({ "excludeNamespaces": [{ "database": "other" }] });
    let others = [
        json!({}),
        json!({ "excludeNamespaces": [{ "database": "other" }, { "database": "more" }] }),
        json!({ "excludeNamespaces": [{ "database": "other" }], "includeNamespaces": [{ "database": "app" }] }),
        json!({ "excludeNamespaces": [{ "database": "other" }], "buildIndexes": "never" }),
    ];
    let before = fingerprint_of_session(&rig).await?;
    for other in others {
        refused(&rig, "start", start_body(other), "OptionsMismatch").await?;
    }
    let swapped = json!({ "source": "cluster1", "destination": "cluster0", "excludeNamespaces": [{ "database": "other" }] });
    refused(&rig, "start", swapped, "OptionsMismatch").await?;
    ensure!(
        fingerprint_of_session(&rig).await? == before,
        "a refused start has changed the session"
    );
    // The same options continue the sync, once, as scripts written for mongosync expect.
    rig.host.start(same.clone()).await?;
    refused(&rig, "start", start_body(same), "InvalidStateTransition").await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "later" }]).await?;
    rig.finish().await?;
    Ok(())
}

async fn fingerprint_of_session(rig: &Rig) -> Result<Vec<Document>> {
    steps::metadata(rig, "session").await
}

/// A sync that was paused stays so over a restart, and with the position it had.
#[tokio::test]
async fn s64_a_paused_sync_stays_paused() -> Result<()> {
    let mut rig = begun().await?;
    rig.host.pause().await?;
    let position = steps::metadata(&rig, "streamPosition").await?;
    insert(
        &rig.source_db("app"),
        "c",
        vec![doc! { "_id": "while paused" }],
    )
    .await?;
    rig.host.restart().await?;
    let progress = rig.host.progress().await?;
    ensure!(
        progress["state"] == "PAUSED" && progress["canCommit"] == false,
        "{progress}"
    );
    refused(&rig, "commit", json!({}), "InvalidStateTransition").await?;
    ensure!(
        steps::metadata(&rig, "streamPosition").await? == position,
        "a paused sync has moved"
    );
    ensure!(steps::count(&rig.destination_db("app"), "c").await? == 20);
    rig.host.resume().await?;
    rig.finish().await?;
    Ok(())
}
