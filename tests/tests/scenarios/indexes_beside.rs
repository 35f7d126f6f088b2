//! Indexes of a collection are built when the collection is copied, beside the copy of the others and beside the
//! stream.

use anyhow::{Result, ensure};
use bson::{Document, doc};
use serde_json::json;
use support::{Rig, host::DEADLINE, wait::Look, wait_until};

use crate::{
    copy_ddl::documents,
    copy_states::{
        Gate, Partitions, hold_builds, one_worker, wait_for_build, wait_in_step_beside,
        with_load_level,
    },
    findings_stops::{AT_ONCE, pause_at_once, terminate_within},
    steps::{insert, run, update, wait_for_document, wait_in_step},
};

const MANY: i32 = 80;
const FEW: i32 = 20;

/// Writes a collection with an index to the source.
async fn load(rig: &Rig, name: &str, count: i32) -> Result<()> {
    let app = rig.source_db("app");
    insert(&app, name, documents(count)).await?;
    let index = doc! { "key": { "n": 1 }, "name": "n_1", "unique": true };
    run(&app, doc! { "createIndexes": name, "indexes": [index] }).await?;
    Ok(())
}

async fn wait_for_index(rig: &Rig, name: &str) -> Result<()> {
    let database = rig.destination_db("app");
    wait_until("an index is there", DEADLINE, async || {
        let collection = database.collection::<Document>(name);
        // Before its copy the collection is missing.
        let names = collection.list_index_names().await.unwrap_or_default();
        Ok(match names.contains(&"n_1".to_owned()) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{name} has {names:?}")),
        })
    })
    .await
}

#[tokio::test]
async fn f82_indexes_are_built_while_other_collections_are_copied() -> Result<()> {
    let rig = Rig::with(one_worker()).await?;
    load(&rig, "copied", MANY).await?;
    load(&rig, "held", FEW).await?;
    let gate = Gate::at_inserts(&rig, "app.held")?;
    rig.host.start(json!({})).await?;
    gate.reached().await?;
    wait_for_index(&rig, "copied").await?;
    let app = rig.source_db("app");
    update(&app, "copied", 1, doc! { "$inc": { "n": 1000 } }).await?;
    insert(&app, "copied", vec![doc! { "_id": "new", "n": 5000 }]).await?;
    wait_for_document(&rig, "app", "copied", "new").await?;
    wait_in_step_beside(&rig).await?;
    let held = Partitions::of(&rig, "app.held").await?;
    ensure!(held.done == 0, "{held:?}");
    gate.open();
    rig.finish().await.map(drop)
}

/// A sync of which everything is copied, while the indexes of `app.built` are being built.
async fn building() -> Result<Rig> {
    let rig = Rig::with(with_load_level(2)).await?;
    load(&rig, "built", MANY).await?;
    for name in ["b", "c", "d"] {
        insert(&rig.source_db("app"), name, documents(FEW)).await?;
    }
    hold_builds(&rig, true).await?;
    rig.host.start(json!({})).await?;
    wait_for_build(&rig, "app.built").await?;
    Ok(rig)
}

/// Events of collections that are ready arrive, and events of the collection whose indexes are built.
async fn goes_on(rig: &Rig, mark: &str) -> Result<()> {
    let app = rig.source_db("app");
    for name in ["built", "b", "d"] {
        update(
            &app,
            name,
            2,
            doc! { "$set": { "mark": mark }, "$push": { "list": 0 } },
        )
        .await?;
        insert(
            &app,
            name,
            vec![doc! { "_id": mark, "n": format!("of {mark}") }],
        )
        .await?;
        wait_for_document(rig, "app", name, mark).await?;
    }
    wait_in_step_beside(rig).await?;
    wait_for_build(rig, "app.built").await
}

#[tokio::test]
async fn f82_a_build_that_stands_still_holds_up_commit_alone() -> Result<()> {
    let mut rig = building().await?;
    goes_on(&rig, "beside").await?;
    // A collection that is created is ready at once.
    insert(&rig.source_db("app"), "new", documents(3)).await?;
    wait_for_document(&rig, "app", "new", 1).await?;
    pause_at_once(&rig).await?;
    rig.host.resume().await?;
    goes_on(&rig, "after a pause").await?;
    terminate_within(&mut rig, AT_ONCE * 2).await?;
    rig.host.restart().await?;
    goes_on(&rig, "after an end").await?;
    rig.host.restart().await?;
    goes_on(&rig, "after a kill").await?;
    hold_builds(&rig, false).await?;
    rig.host.wait_can_commit().await?;
    wait_for_index(&rig, "built").await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// A build that the destination's new primary does not know is begun again.
#[tokio::test]
async fn f82_a_step_down_in_a_build_costs_the_build_alone() -> Result<()> {
    let rig = building().await?;
    rig.destination.step_down().await?;
    wait_for_build(&rig, "app.built").await?;
    goes_on(&rig, "after a step-down").await?;
    hold_builds(&rig, false).await?;
    rig.host.wait_can_commit().await?;
    wait_for_index(&rig, "built").await?;
    rig.finish().await.map(drop)
}

/// Commands of builders that are gone wait at the destination. Each begins its build when the one before it is
/// aborted, and no event waits for that.
#[tokio::test]
async fn f93_ddl_passes_over_builds_of_hosts_that_are_gone() -> Result<()> {
    let mut rig = building().await?;
    for turn in 0..2 {
        pause_at_once(&rig).await?;
        rig.host.resume().await?;
        goes_on(&rig, &format!("pause {turn}")).await?;
        rig.host.restart().await?;
        goes_on(&rig, &format!("kill {turn}")).await?;
    }
    let app = rig.source_db("app");
    let validator = doc! { "n": { "$exists": true } };
    run(&app, doc! { "collMod": "built", "validator": validator }).await?;
    let rename = doc! { "renameCollection": "app.built", "to": "app.renamed" };
    rig.source.admin(rename).await?;
    insert(&app, "renamed", vec![doc! { "_id": "later", "n": 9000 }]).await?;
    wait_for_document(&rig, "app", "renamed", "later").await?;
    hold_builds(&rig, false).await?;
    rig.host.wait_can_commit().await?;
    wait_for_index(&rig, "renamed").await?;
    rig.finish().await.map(drop)
}
