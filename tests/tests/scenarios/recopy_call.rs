//! `POST /api/v1/recopy`: collections are compared again, under the running stream.

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::Rig;

use crate::{
    resync::{documents, load},
    steps::{delete, find, insert, run, update, wait_in_step},
};

/// By the call, under load: a document that differs is written.
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
#[tokio::test]
async fn collections_are_compared_again_by_a_call() -> Result<()> {
    let rig = Rig::start().await?;
    let (app, destination) = (load(&rig).await?, rig.destination_db("app"));
    insert(&app, "d", documents(0..100)).await?;
    run(&app, doc! { "create": "v", "viewOn": "c", "pipeline": [] }).await?;
    let recopy = async |namespaces: Value| {
        let body = json!({ "namespaces": namespaces }).to_string();
        rig.host.call("POST", "/api/v1/recopy", &body).await
    };
    let c = || json!([{ "database": "app", "collection": "c" }]);
    let refused = recopy(c()).await?;
    ensure!(
        refused.error() == "InvalidStateTransition",
        "{}",
        refused.body
    );
    let excluded = json!([{ "database": "app", "collections": ["out"] }]);
    rig.host
        .start(json!({ "excludeNamespaces": excluded }))
        .await?;
    wait_in_step(&rig).await?;
    rig.host.wait_can_commit().await?;
    for (namespace, error) in [
        (
            json!([{ "database": "app", "collection": "none" }]),
            "NamespaceNotFound",
        ),
        (
            json!([{ "database": "app", "collection": "out" }]),
            "NamespaceNotFound",
        ),
        (
            json!([{ "database": "app", "collection": "v" }]),
            "NamespaceNotFound",
        ),
        (json!([{ "database": "none" }]), "NamespaceNotFound"),
        (json!([]), "InvalidField"),
        (json!(["app.c"]), "InvalidField"),
    ] {
        let answer = recopy(namespace.clone()).await?;
        ensure!(answer.error() == error, "{namespace}: {}", answer.body);
    }
    // What another writer has done to the destination.
    let damage = async || -> Result<()> {
        update(&destination, "c", 17, doc! { "$set": { "n": "damaged" } }).await?;
        delete(&destination, "c", 18).await?;
        insert(&destination, "c", vec![doc! { "_id": "stranger" }]).await
    };
    damage().await?;
    let answer = recopy(c()).await?;
    ensure!(
        answer.status == 200 && answer.body["collections"] == 1,
        "{}",
        answer.body
    );
    for id in 100..200 {
        update(&app, "c", id, doc! { "$inc": { "n": 1 } }).await?;
    }
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    let is_repaired = async || -> Result<bool> {
        Ok(
            find(&destination, "c", 17).await? == find(&app, "c", 17).await?
                && find(&destination, "c", 18).await?.is_some()
                && find(&destination, "c", "stranger").await?.is_none(),
        )
    };
    ensure!(is_repaired().await?, "documents still differ");
    let shown = rig
        .host
        .call("GET", "/api/v1/progress?collections=true", "")
        .await?;
    let shown = shown.body["progress"]["collections"].as_array().cloned();
    let shown = shown.unwrap_or_default();
    let compared = shown.iter().find(|it| it["namespace"] == "app.c");
    let compared = compared.context("no app.c")?;
    ensure!(compared["documents"] == 3_000, "{compared}");

    rig.host.pause().await?;
    damage().await?;
    update(&destination, "d", 1, doc! { "$set": { "n": "damaged" } }).await?;
    let answer = recopy(json!([{ "database": "app" }])).await?;
    ensure!(
        answer.status == 200 && answer.body["collections"] == 2,
        "{}",
        answer.body
    );
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    rig.finish().await.map(drop)
}
