//! Stored functions, which commit makes equal to the source's.

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, doc};
use mongodb::Database;
use serde_json::json;
use support::{Rig, guide};

use crate::{
    cutover::secure,
    steps::{self, go_on_and_die, insert},
};

const FUNCTIONS: &str = "system.js";

async fn store(database: &Database, name: &str, code: &str) -> Result<()> {
    let functions = database.collection::<Document>(FUNCTIONS);
    let value = Bson::JavaScriptCode(code.to_owned());
    functions
        .replace_one(doc! { "_id": name }, doc! { "_id": name, "value": value })
        .upsert(true)
        .await?;
    Ok(())
}

async fn count(database: &Database) -> Result<u64> {
    steps::count(database, FUNCTIONS).await
}

/// Functions go with their database, under its new name, whenever the host is killed, and back.
#[tokio::test(flavor = "multi_thread")]
async fn s80_stored_functions_are_brought_over_at_commit() -> Result<()> {
    let mut rig = Rig::start().await?;
    for name in ["app", "left", "listed", "old"] {
        let database = rig.source_db(name);
        insert(&database, "c", vec![doc! { "_id": 1 }]).await?;
        for n in 0..5 {
            store(
                &database,
                &format!("f{n}"),
                &format!("function() {{ return {n} }}"),
            )
            .await?;
        }
    }
    let options = json!({
        "includeNamespaces": [
            { "database": "app" }, { "database": "listed", "collections": ["c"] }, { "database": "old" },
        ],
        "namespaceRemap": [{ "from": { "database": "old" }, "to": { "database": "new" } }],
    });
    rig.host.start(options).await?;
    rig.host.wait_can_commit().await?;
    let app = rig.source_db("app");
    store(&app, "f1", "function() { return 'changed' }").await?;
    app.collection::<Document>(FUNCTIONS)
        .delete_one(doc! { "_id": "f2" })
        .await?;
    rig.host.kill()?;
    rig.host
        .restart_to_be_killed(Some("function_written:2"))
        .await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_end().await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    // Written by the host that died, and gone from the source since.
    app.collection::<Document>(FUNCTIONS)
        .delete_one(doc! { "_id": "f0" })
        .await?;
    go_on_and_die(&mut rig, "function_written").await?;
    rig.host.restart().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.expect(Scope);
    ensure!(count(&rig.destination_db("app")).await? == 3);
    rig.close().await?;
    Ok(())
}

/// The scope of [`s80_stored_functions_are_brought_over_at_commit`].
struct Scope;

impl support::compare::Expectation for Scope {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        let database = match (database, collection) {
            ("app", _) | ("listed", "c") => database,
            ("old", _) => "new",
            _ => return None,
        };
        Some((database.to_owned(), collection.to_owned()))
    }
}

/// Users without the privilege are warned at the start, and commit names the functions.
#[tokio::test(flavor = "multi_thread")]
async fn s80_functions_that_cannot_be_written_are_named() -> Result<()> {
    let mut rig = secure(support::rig::Options::default()).await?;
    let app = rig.source_db("app");
    insert(&app, "c", vec![doc! { "_id": 1 }]).await?;
    store(&app, "f", "function() {}").await?;
    let actions = ["insert", "update"];
    let functions =
        doc! { "resource": { "db": "", "collection": FUNCTIONS }, "actions": &actions[..] };
    let command =
        doc! { "revokePrivilegesFromRole": "tidegateDestination", "privileges": [functions] };
    rig.destination.admin(command).await?;
    rig.host.restart().await?;
    rig.host.start(json!({})).await?;
    let progress = rig.host.wait_can_commit().await?;
    let warnings = progress["warnings"].to_string();
    ensure!(
        warnings.contains("Stored functions are not synced") && warnings.contains("app.system.js"),
        "{warnings}"
    );
    rig.allow_log("not restored");
    rig.commit().await?;
    let progress = rig.host.progress().await?;
    ensure!(
        progress.to_string().contains("stored functions of app"),
        "{progress:#}"
    );
    rig.set_scope(|_, collection| collection != FUNCTIONS);
    // The collection itself was created.
    let found = steps::names(&rig.destination_db("app")).await;
    found.context("the destination")?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// The documented roles are sufficient, also for a reverse.
#[tokio::test(flavor = "multi_thread")]
async fn s80_functions_are_reversed_by_the_documented_roles() -> Result<()> {
    let mut rig = secure(support::rig::Options::default()).await?;
    guide::grant(&rig.source, "tidegateDestination").await?;
    guide::grant(&rig.destination, "tidegateSource").await?;
    rig.host.restart().await?;
    let app = rig.source_db("app");
    insert(&app, "c", vec![doc! { "_id": 1 }]).await?;
    for name in ["f", "g"] {
        store(&app, name, "function() {}").await?;
    }
    rig.host
        .start(json!({ "reversible": true, "enableUserWriteBlocking": "sourceAndDestination" }))
        .await?;
    rig.commit().await?;
    ensure!(count(&rig.destination_db("app")).await? == 2);
    let used = rig.destination_db("app");
    used.collection::<Document>(FUNCTIONS)
        .delete_one(doc! { "_id": "g" })
        .await?;
    store(&used, "h", "function() { return 1 }").await?;
    let answer = rig.host.call("POST", "/api/v1/reverse", "{}").await?;
    ensure!(answer.status == 200, "{}", answer.body);
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.compare().await?;
    ensure!(count(&app).await? == 2);
    rig.log.check()?;
    rig.abandon();
    Ok(())
}
