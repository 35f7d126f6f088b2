//! Views: created, changed, dropped, turned into collections and back.

use anyhow::{Result, ensure};
use bson::{Bson, Document, bson, doc};
use futures::TryStreamExt;
use mongodb::Database;
use serde_json::json;
use support::{proxy::commands, rig::Options};

use crate::steps::{
    go_on_and_die, insert, names, rig_to_die_at, rig_with_death, run, start_and_die, wait_in_step,
};

async fn view(database: &Database, name: &str, on: &str, pipeline: Bson) -> Result<()> {
    run(
        database,
        doc! { "create": name, "viewOn": on, "pipeline": pipeline },
    )
    .await?;
    Ok(())
}

fn stage(number: i32) -> Bson {
    bson!([{ "$match": { "z": { "$gte": number }, "a": 1 } }, { "$project": { "z": 1, "b": "$a", "_id": 1 } }, { "$sort": { "z": -1 } }])
}

async fn content(database: &Database, name: &str) -> Result<Vec<Document>> {
    Ok(database
        .collection::<Document>(name)
        .find(doc! {})
        .await?
        .try_collect()
        .await?)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn s_views() -> Result<()> {
    let options = Options {
        proxied: true,
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted").await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "c",
        (0..20)
            .map(|n| doc! { "_id": n, "z": n, "a": 1, "s": if n % 2 == 0 { "A" } else { "a" } })
            .collect(),
    )
    .await?;
    view(&source, "plain", "c", stage(3)).await?;
    view(&source, "a on plain", "plain", bson!([{ "$limit": 3 }])).await?;
    view(&source, "of nothing", "missing", bson!([])).await?;
    let collated = doc! { "create": "collated", "viewOn": "c", "pipeline": [{ "$match": { "s": "a" } }],
    "collation": { "locale": "en", "strength": 2 } };
    run(&source, collated.clone()).await?;
    for name in ["dropped", "changed", "replaced", "becomes a collection"] {
        view(&source, name, "c", stage(1)).await?;
    }
    insert(&source, "becomes a view", vec![doc! { "_id": 1 }]).await?;
    start_and_die(&mut rig, json!({})).await?;

    let change_all = async |round: i32| {
        run(&source, doc! { "drop": "dropped" }).await?;
        run(
            &source,
            doc! { "collMod": "changed", "viewOn": "plain", "pipeline": stage(10 + round) },
        )
        .await?;
        run(&source, doc! { "drop": "replaced" }).await?;
        let again = doc! { "create": "replaced", "viewOn": "c", "pipeline": stage(round), "collation": { "locale": "fr" } };
        run(&source, again).await?;
        run(&source, doc! { "drop": "becomes a collection" }).await?;
        insert(&source, "becomes a collection", vec![doc! { "_id": round }]).await?;
        run(&source, doc! { "drop": "becomes a view" }).await?;
        view(&source, "becomes a view", "c", stage(round)).await?;
        view(&source, &format!("new {round}"), "a on plain", stage(0)).await?;
        run(&source, doc! { "drop": "collated" }).await?;
        run(&source, collated.clone()).await?;
        anyhow::Ok(())
    };
    let change_back = async |round: i32| {
        view(&source, "dropped", "plain", stage(round)).await?;
        run(&source, doc! { "drop": "becomes a collection" }).await?;
        view(&source, "becomes a collection", "c", stage(round)).await?;
        run(&source, doc! { "drop": "becomes a view" }).await?;
        insert(&source, "becomes a view", vec![doc! { "_id": round }]).await?;
        anyhow::Ok(())
    };
    change_all(1).await?;
    go_on_and_die(&mut rig, "ddl_applied:5").await?;
    change_back(2).await?;
    go_on_and_die(&mut rig, "ddl_applied:9").await?;
    change_all(3).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    change_back(4).await?;
    change_all(5).await?;
    wait_in_step(&rig).await?;
    // Views are made at commit. The answers to two are lost: a view that was made is there when it is made again.
    let proxy = &rig.proxies()?.destination;
    let of = |name: &'static str| {
        commands("create").when(move |command| {
            let document = command.document().unwrap_or_default();
            document.get_str("create").ok() == Some(name)
        })
    };
    let lost = [
        proxy.on(of("a on plain").first()).cut_after(),
        proxy.on(of("collated").first()).cut_after(),
        proxy.on(of("changed").first()).cut_before(),
    ];
    rig.commit().await?;
    for lost in lost {
        ensure!(!lost.commands().is_empty(), "a view was not made");
    }
    let destination = rig.destination_db("app");
    ensure!(names(&destination).await? == names(&source).await?);
    for name in ["plain", "a on plain", "collated", "changed", "new 1"] {
        ensure!(
            content(&destination, name).await? == content(&source, name).await?,
            "{name}"
        );
    }
    ensure!(
        content(&destination, "collated").await?.len() == 20,
        "without its collation"
    );
    rig.close().await?;
    Ok(())
}

/// A view takes a collection's name before the collection has been copied.
#[tokio::test]
async fn s_views_in_place_of_collections_that_are_not_copied_yet() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "large",
        (0..100)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(50_000) })
            .collect(),
    )
    .await?;
    insert(&source, "small", vec![doc! { "_id": 1 }]).await?;
    view(&source, "v", "large", bson!([])).await?;
    start_and_die(&mut rig, json!({})).await?;
    for name in ["large", "small"] {
        rig.source
            .admin(doc! { "renameCollection": format!("app.{name}"), "to": format!("app.{name}2") })
            .await?;
        view(&source, name, &format!("{name}2"), bson!([{ "$limit": 2 }])).await?;
    }
    run(&source, doc! { "drop": "small2" }).await?;
    rig.host.restart().await?;
    rig.finish().await?;
    Ok(())
}

/// A dropped database takes its views with it.
#[tokio::test]
async fn s_views_of_a_dropped_database() -> Result<()> {
    let mut rig = rig_to_die_at("ddl_applied:2").await?;
    for name in ["app", "other"] {
        let database = rig.source_db(name);
        insert(&database, "c", vec![doc! { "_id": 1, "z": 1, "a": 1 }]).await?;
        view(&database, "v", "c", stage(1)).await?;
    }
    let _ = rig.host.start(json!({})).await;
    rig.source_db("other").drop().await?;
    rig.host.wait_for_end().await?;
    view(&rig.source_db("other"), "v", "c", stage(2)).await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    ensure!(names(&rig.destination_db("other")).await?.is_empty());
    rig.commit().await?;
    ensure!(names(&rig.destination_db("other")).await? == ["v"]);
    rig.close().await?;
    Ok(())
}
