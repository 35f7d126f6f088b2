//! Names that differ on the destination, and names that meet (scenario 79).

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, chain::Chain};

use crate::steps::{insert, names, refused, run, start_body, update, wait_in_step};

fn remap(rules: Value) -> Value {
    json!({ "namespaceRemap": rules })
}

fn rule(from: (&str, &str), to: (&str, &str)) -> Value {
    json!({ "from": { "database": from.0, "collection": from.1 },
            "to": { "database": to.0, "collection": to.1 } })
}

#[tokio::test]
async fn namespaces_arrive_under_other_names() -> Result<()> {
    let mut rig = Rig::start().await?;
    let app = rig.source_db("app");
    insert(&app, "users", vec![doc! { "_id": 1, "n": 1 }]).await?;
    insert(&app, "orders", vec![doc! { "_id": 1 }]).await?;
    insert(&rig.source_db("old"), "x", vec![doc! { "_id": 1 }]).await?;
    let rules = json!([
        rule(("app", "users"), ("people", "all")),
        { "from": { "database": "old" }, "to": { "database": "new" } },
    ]);
    rig.host.start(remap(rules)).await?;
    rig.host.wait_can_commit().await?;
    update(&app, "users", 1, doc! { "$inc": { "n": 1 } }).await?;
    insert(&rig.source_db("old"), "later", vec![doc! { "_id": 2 }]).await?;
    run(
        &app,
        doc! { "createIndexes": "users", "indexes": [{ "key": { "n": 1 }, "name": "n" }] },
    )
    .await?;
    let expected = Chain::of(|_, _| true)
        .renamed(("app", "users"), ("people", "all"))
        .renamed(("old", "x"), ("new", "x"))
        .renamed(("old", "later"), ("new", "later"));
    rig.expect(expected);
    rig.finish().await?;
    Ok(())
}

/// A whole database under another name goes with its views, and is dropped under that name.
#[tokio::test]
async fn views_and_drops_follow_a_remapped_database() -> Result<()> {
    let rig = Rig::start().await?;
    let old = rig.source_db("old");
    insert(&old, "x", vec![doc! { "_id": 1 }]).await?;
    run(&old, doc! { "create": "v", "viewOn": "x", "pipeline": [] }).await?;
    insert(&rig.source_db("other"), "x", vec![doc! { "_id": 1 }]).await?;
    let rules = json!([{ "from": { "database": "old" }, "to": { "database": "new" } }]);
    rig.host.start(remap(rules)).await?;
    rig.host.wait_can_commit().await?;
    // The view is made at commit.
    ensure!(names(&rig.destination_db("new")).await? == ["x"]);
    run(&old, doc! { "dropDatabase": 1 }).await?;
    wait_in_step(&rig).await?;
    ensure!(names(&rig.destination_db("new")).await?.is_empty());
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn s79_names_that_meet_at_the_start_are_refused() -> Result<()> {
    let rig = Rig::start().await?;
    for (database, collection) in [("app", "a"), ("app", "b"), ("other", "a")] {
        insert(
            &rig.source_db(database),
            collection,
            vec![doc! { "_id": 1 }],
        )
        .await?;
    }
    for rules in [
        json!([rule(("app", "a"), ("app", "b"))]),
        json!([{ "from": { "database": "other" }, "to": { "database": "APP" } }]),
        json!([{ "from": { "database": "other" }, "to": { "database": "app" } }]),
    ] {
        refused(
            &rig,
            "start",
            start_body(remap(rules)),
            "NamespaceCollision",
        )
        .await?;
    }
    // Collisions among the rules themselves are refused by the component.
    let both = json!([
        rule(("app", "a"), ("x", "y")),
        rule(("app", "b"), ("x", "y"))
    ]);
    refused(&rig, "start", start_body(remap(both)), "InvalidField").await?;
    ensure!(names(&rig.destination_db("app")).await?.is_empty());
    rig.host.start(json!({})).await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn s79_names_that_meet_later_stop_the_sync() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("the sync has stopped and can be resumed");
    let app = rig.source_db("app");
    insert(&app, "a", vec![doc! { "_id": 1, "of": "a" }]).await?;
    let rules = json!([rule(("app", "a"), ("app", "taken"))]);
    rig.host.start(remap(rules)).await?;
    rig.host.wait_can_commit().await?;
    insert(&app, "b", vec![doc! { "_id": 1, "of": "b" }]).await?;
    wait_in_step(&rig).await?;
    // A rename onto the remapped name, and a creation under it.
    run(
        &rig.source_db("admin"),
        doc! { "renameCollection": "app.b", "to": "app.taken" },
    )
    .await?;
    let progress = rig.host.wait_for_state("PAUSED").await?;
    let warning = progress["warnings"][0].as_str().context("a warning")?;
    ensure!(warning.starts_with("NamespaceCollision"), "{warning}");
    let taken = rig
        .destination_db("app")
        .collection::<bson::Document>("taken");
    ensure!(
        taken
            .find_one(doc! {})
            .await?
            .context("a document")?
            .get_str("of")?
            == "a"
    );
    rig.abandon();
    Ok(())
}
