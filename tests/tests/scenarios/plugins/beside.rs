//! Swaps with `recopy` beside the stream and beside the first copy: neither stops.

use anyhow::{Result, ensure};
use bson::doc;
use support::{
    Rig,
    host::{DEADLINE, text},
    proxy::commands,
    wait::{Look, wait_until},
};

use super::builds::{AllStamped, Build, FIRST, OTHER, pinned, stamped, upgrade, upgraded, upload};
use crate::{
    copy_ddl::documents,
    copy_states::{Gate, Partitions, one_worker, wait_in_step_beside},
    steps::{insert, update, wait_for_document, wait_in_step},
};

/// A build with answers of its own, after `OTHER`.
const NEWEST: Build = Build {
    version: "9.0.0",
    semantics: 3,
    stamp: "newest",
    ..FIRST
};

/// Clusters with collections of 80, 40 and 20 documents, and the first build on the host.
async fn rig() -> Result<Rig> {
    let mut rig = Rig::with(one_worker()).await?;
    rig.expect(AllStamped(OTHER.stamp));
    for (name, count) in [("large", 80), ("held", 40), ("small", 20)] {
        insert(&rig.source_db("app"), name, documents(count)).await?;
    }
    upload(&rig, FIRST).await?;
    Ok(rig)
}

/// An event of this collection arrives, with the stamp of a build.
async fn arrives(rig: &Rig, name: &str, id: &str, build: Build) -> Result<()> {
    let new = doc! { "_id": id };
    insert(&rig.source_db("app"), name, vec![new]).await?;
    let found = wait_for_document(rig, "app", name, id).await?;
    ensure!(found.get_str("stamp")? == build.stamp, "{found}");
    Ok(())
}

#[tokio::test]
async fn f85_a_recopy_stops_no_event() -> Result<()> {
    let rig = rig().await?;
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    let other = upload(&rig, OTHER).await?;
    wait_in_step(&rig).await?;
    // The documents of a collection are read again, apart from look-ups.
    let reads = commands("find").of("app.held").when(|command| {
        let filter = command.body.get_document("filter");
        let id = filter.and_then(|filter| filter.get_document("_id"));
        !id.is_ok_and(|id| id.get_array("$in").is_ok())
    });
    let gate = Gate::at(&rig.proxies()?.source, reads);
    upgraded(&rig, &other, "recopy").await?;
    gate.reached().await?;
    for round in 0..3 {
        arrives(&rig, "large", &format!("beside {round}"), OTHER).await?;
        let app = rig.source_db("app");
        update(&app, "held", round, doc! { "$push": { "list": round } }).await?;
        insert(&app, "created", vec![doc! { "_id": round }]).await?;
    }
    let progress = wait_in_step_beside(&rig).await?;
    ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
    gate.open();
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Collections are unseen, in work and done when the component is swapped.
#[tokio::test]
async fn f85_a_swap_with_recopy_in_the_first_copy() -> Result<()> {
    let rig = rig().await?;
    let gate = Gate::at_inserts(&rig, "app.held")?;
    rig.host.start(stamped()).await?;
    gate.reached().await?;
    let other = upload(&rig, OTHER).await?;
    // Finished partitions are persisted once a second.
    wait_until("the large collection is copied", DEADLINE, async || {
        let large = Partitions::of(&rig, "app.large").await?;
        Ok(match large.are_done() {
            true => Look::Done(()),
            false => Look::NotYet(format!("{large:?}")),
        })
    })
    .await?;
    arrives(&rig, "large", "before", FIRST).await?;
    let writes = async {
        let app = rig.source_db("app");
        for name in ["large", "held", "small"] {
            update(&app, name, 1, doc! { "$push": { "list": 1 } }).await?;
            insert(&app, name, vec![doc! { "_id": "beside the swap" }]).await?;
        }
        // The swap may wait until the batch that is held is written.
        gate.open();
        anyhow::Ok(())
    };
    let (swapped, written) = tokio::join!(upgrade(&rig, &other, "recopy"), writes);
    written?;
    let swapped = swapped?;
    ensure!(swapped.status == 200, "{}", swapped.body);
    arrives(&rig, "large", "after", OTHER).await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    ensure!(pinned(&rig, "plugins[0]").await?["digest"] == other.as_str());
    rig.finish().await.map(drop)
}

/// A second swap comes before the recopy of the first has ended.
#[tokio::test]
async fn f85_a_recopy_within_a_recopy() -> Result<()> {
    let mut rig = rig().await?;
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    let other = upload(&rig, OTHER).await?;
    let newest = upload(&rig, NEWEST).await?;
    rig.expect(AllStamped(NEWEST.stamp));
    for digest in [&other, &newest] {
        upgraded(&rig, digest, "recopy").await?;
        insert(
            &rig.source_db("app"),
            "held",
            vec![doc! { "_id": digest.as_str() }],
        )
        .await?;
    }
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}
