//! A host of a release without a lease that was cut off while the sync was migrated (finding 07).

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{
    Host, Rig, doc,
    host::{self, DEADLINE, number},
    metadata::{Entry, dump},
    release,
    rig::Options,
    upgrade::Persisted,
};
use tidegate::metadata::METADATA_VERSION;

/// The server's message for a write to a view (code 166).
const ON_A_VIEW: &str = "is a view, not a collection";
/// The server's message for a document that a validator refuses (code 121).
const NOT_VALID: &str = "Document failed validation";

/// The old host stands still while the destination closes its connections and a new host takes the sync over; then
/// it is continued. The server refuses each of its writes of metadata: its work ends at the first refusal, and no
/// call starts it again.
#[tokio::test]
async fn f07_a_cut_off_host_without_a_lease_persists_nothing() -> Result<()> {
    let (mut rig, mut old) = cut_off().await?;
    let progress = rig.host.wait_can_commit().await?;
    ensure!(
        progress["warnings"]
            .to_string()
            .contains("Make sure that its process has ended"),
        "the new host does not warn of the old one: {progress:#}"
    );
    let persisted = Persisted::read(&rig.destination).await?;
    ensure!(persisted.metadata_version == METADATA_VERSION);
    // Events that the old host will read when it is continued.
    insert(&rig, 2000..3000).await?;
    let before = without_position(&rig).await?;

    old.process()?.thaw()?;
    let stopped = old.wait_for_state("PAUSED").await?;
    ensure!(
        stopped["warnings"].to_string().contains(ON_A_VIEW),
        "the old host has stopped for another reason: {stopped:#}"
    );
    let answer = old.call("POST", "/api/v1/resume", "{}").await?;
    ensure!(
        answer.body.to_string().contains(NOT_VALID),
        "resume answers {}: {}",
        answer.status,
        answer.body
    );
    ensure!(
        without_position(&rig).await? == before,
        "the old host has changed metadata"
    );
    old.kill()?;

    insert(&rig, 3000..4000).await?;
    for refused in [ON_A_VIEW, NOT_VALID] {
        rig.allow_log(refused);
    }
    rig.finish().await?;
    Ok(())
}

/// The standby reads the session of an old version while it waits, and is fit all the same.
#[tokio::test]
async fn a_standby_goes_on_when_a_host_without_a_lease_has_stopped() -> Result<()> {
    let mut rig = in_step().await?;
    let mut arguments = rig.host.arguments().clone();
    arguments.binary = host::binary()?;
    let standby = Host::spawn(arguments).await?;
    // Applied by the old host: longer than the standby's first look at itself takes.
    insert(&rig, 2000..6000).await?;
    rig.host.terminate().await?;
    rig.host = standby;
    rig.host.wait_can_commit().await?;
    insert(&rig, 6000..6100).await?;
    let persisted = Persisted::read(&rig.destination).await?;
    ensure!(persisted.metadata_version == METADATA_VERSION);
    rig.finish().await?;
    Ok(())
}

/// A sync of 0.1.1 that a host of this release has taken over, and the old host, which is frozen.
async fn cut_off() -> Result<(Rig, Host)> {
    let mut rig = in_step().await?;
    rig.host.process()?.freeze()?;
    rig.destination.stop().await?;
    rig.destination.restart().await?;
    let mut arguments = rig.host.arguments().clone();
    arguments.binary = host::binary()?;
    let new = Host::spawn(arguments).await?;
    let old = std::mem::replace(&mut rig.host, new);
    Ok((rig, old))
}

/// A sync of 0.1.1, in step.
async fn in_step() -> Result<Rig> {
    let rig = Rig::with(Options {
        host_binary: Some(release::binary("0.1.1")?),
        ..Options::default()
    })
    .await?;
    let documents = (0..1000).map(|number| doc! { "_id": number });
    let collection = rig.source_db("app").collection("c");
    collection.insert_many(documents).await?;
    rig.host.start(json!({})).await?;
    insert(&rig, 1000..2000).await?;
    rig.host.wait_can_commit().await?;
    Ok(rig)
}

/// Inserts on the source, and waits until the host has applied that.
async fn insert(rig: &Rig, numbers: Range<i32>) -> Result<()> {
    let before = number(&rig.host.progress().await?, "/totalEventsApplied");
    let inserted = u64::try_from(numbers.len())?;
    let documents = numbers.map(|number| doc! { "_id": number });
    let collection = rig.source_db("app").collection("c");
    collection.insert_many(documents).await.context("insert")?;
    rig.host
        .wait_until("the events are applied", DEADLINE, |progress| {
            number(progress, "/totalEventsApplied") >= before + inserted
        })
        .await?;
    Ok(())
}

/// Without the documents that change in step.
async fn without_position(rig: &Rig) -> Result<Vec<Entry>> {
    let mut entries = dump(&rig.destination).await?;
    entries.retain(|entry| !["lease", "streamPosition"].contains(&&*entry.collection));
    Ok(entries)
}
