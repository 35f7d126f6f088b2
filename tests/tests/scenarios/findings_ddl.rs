//! DDL and crashes: findings 10 and 11 of 0.2.0. With `TIDEGATE_BIN` they run on another host.

use anyhow::Result;
use bson::{Document, doc};
use serde_json::json;
use support::{Rig, proxy::commands, rig::Options};

use crate::plugins::builds::{AllStamped, FIRST, OTHER, stamped, upgraded, upload};
use crate::steps::{go_on_and_die, go_on_and_die_behind, insert, run, wait_in_step};

/// The kill point after the first DDL event that a host applies.
const APPLIED: &str = "ddl_applied";

/// A sync of `app.a` and `app.b` in step, with its host stopped: all following writes form a single batch for the
/// next host.
async fn stopped() -> Result<Rig> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    let source = rig.source_db("app");
    for name in ["a", "b"] {
        run(
            &source,
            doc! { "create": name, "validator": { "n": { "$gte": 0 } } },
        )
        .await?;
        add(&rig, name, 0..10).await?;
    }
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.terminate().await?;
    Ok(rig)
}

async fn add(rig: &Rig, collection: &str, ids: std::ops::Range<i32>) -> Result<()> {
    let documents = ids.map(|n| doc! { "_id": n, "n": n }).collect();
    insert(&rig.source_db("app"), collection, documents).await
}

async fn rename(rig: &Rig, command: Document) -> Result<()> {
    rig.source.admin(command).await.map(drop)
}

async fn drop_a(rig: &Rig) -> Result<()> {
    run(&rig.source_db("app"), doc! { "drop": "a" })
        .await
        .map(drop)
}

/// The host dies when the destination has executed this command, before it receives the reply. The next host dies
/// after the same event, before the position is persisted. A third host goes on.
async fn dies_behind(command: &str, batch: impl AsyncFnOnce(&Rig) -> Result<()>) -> Result<()> {
    let mut rig = stopped().await?;
    batch(&rig).await?;
    let ddl = commands(command).when(|command| command.label.contains(" app."));
    go_on_and_die_behind(&mut rig, ddl).await?;
    go_on_and_die(&mut rig, APPLIED).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

#[tokio::test]
async fn f10_a_crash_behind_inserts_and_a_rename() -> Result<()> {
    dies_behind("renameCollection", async |rig| {
        add(rig, "a", 10..20).await?;
        rename(rig, doc! { "renameCollection": "app.a", "to": "app.z" }).await
    })
    .await
}

#[tokio::test]
async fn f10_a_crash_behind_inserts_and_a_drop() -> Result<()> {
    dies_behind("drop", async |rig| {
        add(rig, "a", 10..20).await?;
        drop_a(rig).await
    })
    .await
}

#[tokio::test]
async fn f10_a_crash_behind_inserts_and_a_rename_onto_their_collection() -> Result<()> {
    dies_behind("renameCollection", async |rig| {
        add(rig, "b", 10..15).await?;
        let onto = doc! { "renameCollection": "app.a", "to": "app.b", "dropTarget": true };
        rename(rig, onto).await
    })
    .await
}

/// Drop, and create with other options.
async fn capped_in_its_place(rig: &Rig) -> Result<()> {
    add(rig, "a", 10..20).await?;
    drop_a(rig).await?;
    let capped = doc! { "create": "a", "capped": true, "size": 1 << 20 };
    run(&rig.source_db("app"), capped).await?;
    add(rig, "a", 20..25).await
}

#[tokio::test]
async fn f10_a_crash_between_a_drop_and_a_create_capped() -> Result<()> {
    dies_behind("drop", capped_in_its_place).await
}

#[tokio::test]
async fn f10_a_crash_behind_a_drop_and_a_create_capped() -> Result<()> {
    let mut rig = stopped().await?;
    capped_in_its_place(&rig).await?;
    // The copy creates the collection, after the event is recorded.
    let create = commands("create").when(|command| command.label.contains(" app."));
    go_on_and_die_behind(&mut rig, create).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- 11: options that have changed, and a second copy

/// The validator goes, and pre-images come.
async fn change_options(rig: &Rig, collection: &str) -> Result<()> {
    let change = doc! {
        "collMod": collection, "validator": {}, "validationLevel": "moderate",
        "changeStreamPreAndPostImages": { "enabled": true },
    };
    run(&rig.source_db("app"), change).await.map(drop)
}

/// A swap to other answers copies the collection again.
#[tokio::test]
async fn f11_changed_options_outlive_a_second_copy() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.expect(AllStamped(OTHER.stamp));
    begin_to_validate(&rig).await?;
    upload(&rig, FIRST).await?;
    rig.host.start(stamped()).await?;
    wait_in_step(&rig).await?;
    change_options(&rig, "a").await?;
    wait_in_step(&rig).await?;
    let other = upload(&rig, OTHER).await?;
    upgraded(&rig, &other, "recopy").await?;
    add(&rig, "a", 10..20).await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// A collection with a validator. Once level and action are set, no command takes them away again.
async fn begin_to_validate(rig: &Rig) -> Result<()> {
    let create = doc! {
        "create": "a", "validator": { "n": { "$gte": 0 } },
        "validationLevel": "strict", "validationAction": "error",
    };
    run(&rig.source_db("app"), create).await?;
    add(rig, "a", 0..10).await
}

/// Wrong options on the destination, from any cause, equal the source's in the end.
#[tokio::test]
async fn f11_commit_compares_options() -> Result<()> {
    let rig = Rig::start().await?;
    begin_to_validate(&rig).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    let other = doc! {
        "collMod": "a", "validator": { "n": { "$gte": -5 } },
        "changeStreamPreAndPostImages": { "enabled": true },
    };
    run(&rig.destination_db("app"), other).await?;
    rig.finish().await.map(drop)
}
