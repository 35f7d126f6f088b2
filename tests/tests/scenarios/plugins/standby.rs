//! A standby that cannot run the pinned components of a sync (finding 31 of 0.2.0).

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use support::{
    Rig,
    host::{DEADLINE, text},
    rig::Options,
    wait::Look,
    wait_until,
};

use super::builds::{AllStamped, FIRST, FeatureSets, OTHER, arguments, stamped};
use crate::steps::{self, METADATA, insert, wait_in_step};

/// It reports this before it is needed, leaves the lease to others, and the healthy host takes over.
#[tokio::test]
async fn f31_a_standby_that_cannot_run_the_sync_leaves_it_to_others() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = Rig::with(Options {
        host_arguments: arguments(&sets.with(FIRST)?),
        ..Options::default()
    })
    .await?;
    rig.expect(AllStamped(FIRST.stamp));
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    rig.destination_db(METADATA)
        .collection::<Document>("components")
        .delete_one(doc! { "name": "stamp" })
        .await?;
    let healthy = rig.host.arguments_mut().more.clone();
    rig.host.arguments_mut().more = arguments(&sets.with(OTHER)?);
    let standby = steps::second(&mut rig, "standby").await?;
    rig.host.arguments_mut().more = healthy;
    standby
        .wait_until("it says that it could not", DEADLINE, |progress| {
            let warnings = progress["warnings"].to_string();
            warnings.contains("could not run the sync") && warnings.contains("stamp 7.0.0")
        })
        .await?;

    rig.host.terminate().await?;
    let progress = standby
        .wait_until("no host works", DEADLINE, |progress| {
            let warnings = progress["warnings"].to_string();
            warnings.contains("No host works on the sync")
        })
        .await?;
    ensure!(text(&progress, "state") == "PAUSED", "{progress:#}");
    let lease = steps::metadata(&rig, "lease").await?;
    let lease = lease
        .iter()
        .find(|one| one.get_str("_id").is_ok_and(|id| id == "lease"));
    let lease = lease.context("no lease")?;
    ensure!(lease.get_bool("released")?, "it was taken: {lease}");

    rig.host.restart().await?;
    wait_until("the healthy host goes on", DEADLINE, async || {
        let progress = rig.host.progress().await?;
        Ok(match progress["lease"]["ours"] == true {
            true => Look::Done(()),
            false => Look::NotYet(format!("{progress:#}")),
        })
    })
    .await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 2 }]).await?;
    wait_in_step(&rig).await?;
    drop(standby);
    rig.finish().await?;
    sets.remove();
    Ok(())
}
