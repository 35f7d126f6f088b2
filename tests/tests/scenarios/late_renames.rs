//! Renames that reach the destination late, at the worst moments.

use anyhow::{Context, Result, ensure};
use bson::{Bson, doc};
use mongodb::Database;
use serde_json::{Value, json};
use support::{
    Rig,
    proxy::{Held, Pattern, commands},
};

use crate::{
    findings_writes::proxied,
    steps::{go_on_and_die_behind, insert, metadata, names, run, wait_in_step},
};

/// Where a collection is while its name is set right.
const ASIDE: &str = "tidegate.settling.";

/// A sync of `app.c` and `app.d`, without `app.out`, that is in step.
async fn in_step() -> Result<Rig> {
    let mut rig = Rig::with(proxied()).await?;
    for (at, name) in ["c", "d", "out"].into_iter().enumerate() {
        let documents = (0..10).map(|n| doc! { "_id": n, "at": at as i32 });
        insert(&rig.source_db("app"), name, documents.collect()).await?;
    }
    rig.set_scope(|_, collection| collection != "out");
    rig.host.start(without(json!(["out"]))).await?;
    wait_in_step(&rig).await?;
    Ok(rig)
}

fn without(collections: Value) -> Value {
    json!({ "excludeNamespaces": [{ "database": "app", "collections": collections }] })
}

async fn rename(rig: &Rig, from: &str, to: &str) -> Result<()> {
    let names = [from, to].map(|name| format!("app.{name}"));
    let [from, to] = names;
    let command = doc! { "renameCollection": from, "to": to };
    rig.source.admin(command).await.map(drop)
}

/// Renames a collection and renames it back. The first attempt of the destination's first rename is held: released
/// late, it renames the collection again.
async fn late_rename(rig: &Rig, from: &str, to: &str) -> Result<Held> {
    let first = commands("renameCollection").first();
    let late = rig.proxies()?.destination.on(first).hold_and_cut();
    rename(rig, from, to).await?;
    late.seen().await?;
    wait_in_step(rig).await?;
    rename(rig, to, from).await?;
    wait_in_step(rig).await?;
    Ok(late)
}

/// The destination takes the late rename.
async fn arrive(late: Held) -> Result<()> {
    let answer = late.release().await?;
    ensure!(answer.get_f64("ok")? == 1.0, "the late rename: {answer}");
    Ok(())
}

async fn uuid(database: &Database, collection: &str) -> Result<Bson> {
    let listing = doc! { "listCollections": 1, "filter": { "name": collection } };
    let listed = run(database, listing).await?;
    let first = listed.get_document("cursor")?.get_array("firstBatch")?;
    let entry = first.first().and_then(Bson::as_document);
    let entry = entry.with_context(|| format!("no collection {collection}"))?;
    let info = entry.get_document("info")?;
    Ok(info.get("uuid").context("a UUID")?.clone())
}

// ---- a crash between the renames that set a name right

#[tokio::test]
async fn late_renames_are_undone_by_hosts_that_die_after_each_step() -> Result<()> {
    let mut rig = in_step().await?;
    let late = [
        late_rename(&rig, "c", "y").await?,
        late_rename(&rig, "d", "z").await?,
    ];
    rig.host.kill()?;
    for late in late {
        arrive(late).await?;
    }
    let destination = rig.destination_db("app");
    let mut seen = vec![names(&destination).await?];
    for _ in 0..4 {
        let renames = commands("renameCollection").when(|command| command.label.contains(ASIDE));
        go_on_and_die_behind(&mut rig, renames).await?;
        seen.push(names(&destination).await?);
    }
    let aside = |names: &Vec<String>| names.iter().filter(|name| name.starts_with(ASIDE)).count();
    let aside: Vec<_> = seen.iter().map(aside).collect();
    ensure!(aside == [0, 1, 2, 1, 0], "{seen:?}");
    ensure!(
        seen.last() == Some(&vec!["c".into(), "d".into()]),
        "{seen:?}"
    );
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- a late rename that takes the name of a collection that is about to get it

/// `change` renames another collection to `app.z`. The late rename arrives before `command`, which is sent for the
/// change.
async fn meets(command: Pattern, change: impl AsyncFnOnce(&Rig) -> Result<()>) -> Result<()> {
    let rig = in_step().await?;
    let late = late_rename(&rig, "c", "z").await?;
    let destination = rig.destination_db("app");
    let before = uuid(&destination, "c").await?;
    let held = rig.proxies()?.destination.on(command).hold();
    change(&rig).await?;
    held.seen().await?;
    arrive(late).await?;
    held.release().await?;
    wait_in_step(&rig).await?;
    ensure!(
        uuid(&destination, "c").await? == before,
        "another collection has the name"
    );
    ensure!(uuid(&destination, "z").await? != before);
    let other = doc! { "_id": "other" };
    insert(&rig.source_db("app"), "z", vec![other]).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

async fn create_z(rig: &Rig) -> Result<()> {
    let documents = (5..15).map(|n| doc! { "_id": n, "new": n });
    insert(&rig.source_db("app"), "z", documents.collect()).await
}

/// The question whether the destination has a collection of this name.
fn listing(name: &'static str) -> Pattern {
    commands("listCollections").when(move |command| {
        let filter = command.body.get_document("filter");
        filter.is_ok_and(|filter| filter.get_str("name").ok() == Some(name))
    })
}

#[tokio::test]
async fn late_renames_give_a_create_no_collection_to_adopt() -> Result<()> {
    meets(listing("z"), create_z).await
}

#[tokio::test]
async fn late_renames_before_a_create_is_recorded() -> Result<()> {
    meets(commands("create").of("app.z"), create_z).await
}

#[tokio::test]
async fn late_renames_give_a_copy_no_collection_to_drop() -> Result<()> {
    let into_scope = async |rig: &Rig| rename(rig, "out", "z").await;
    meets(commands("create").of("app.z"), into_scope).await
}

#[tokio::test]
async fn late_renames_in_the_way_of_a_rename() -> Result<()> {
    let onto = commands("renameCollection").when(|command| command.label.ends_with("d to app.z"));
    meets(onto, async |rig| rename(rig, "d", "z").await).await
}

// ---- intents

#[tokio::test]
async fn intents_of_a_dropped_database_out_of_scope_end() -> Result<()> {
    let mut rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.set_scope(|database, _| database != "other");
    let options = json!({ "excludeNamespaces": [{ "database": "other" }] });
    rig.host.start(options).await?;
    wait_in_step(&rig).await?;
    // The leftover of an earlier release for a database that had views only.
    let destination = rig.destination_db("other");
    run(&destination, doc! { "create": "v", "viewOn": "c" }).await?;
    run(&destination, doc! { "drop": "v" }).await?;
    ensure!(!destination.list_collection_names().await?.is_empty());
    insert(&rig.source_db("other"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.source_db("other").drop().await?;
    wait_in_step(&rig).await?;
    let left = destination.list_collection_names().await?;
    ensure!(left.is_empty(), "nothing was intended: {left:?}");
    let intents = metadata(&rig, "intents").await?;
    ensure!(intents.is_empty(), "{intents:?}");
    rig.finish().await.map(drop)
}
