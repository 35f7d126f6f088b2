//! Filters written in other languages, in a real sync: where `cargo xtask test`
//! could build them.

use anyhow::{Result, ensure};
use bson::doc;
use serde_json::json;
use support::{Rig, mongod::workspace};

use super::guests::upload;
use crate::steps::{count, insert, update, wait_in_step};

async fn filters_a_sync(language: &str) -> Result<()> {
    let file = workspace().join(format!("target/languages/{language}-filter.wasm"));
    let Ok(component) = std::fs::read(&file) else {
        eprintln!("skipped: no {}", file.display());
        return Ok(());
    };
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let documents = |from: i32| {
        (from..from + 300)
            .map(|n| {
                let region = ["EU", "US", "APAC"][n as usize % 3];
                doc! { "_id": n, "region": region, "text": "x".repeat(300) }
            })
            .collect::<Vec<_>>()
    };
    insert(&source, "c", documents(0)).await?;
    let plugin = upload(&rig, component).await?;
    ensure!(plugin["wasi"] == false, "{plugin}");
    let config = json!({ "field": "region", "values": ["EU"] });
    let plugins = json!([{ "component": plugin["digest"], "config": config }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    insert(&source, "c", documents(300)).await?;
    update(&source, "c", 0, doc! { "$set": { "region": "US" } }).await?;
    update(&source, "c", 1, doc! { "$set": { "region": "EU" } }).await?;
    let progress = wait_in_step(&rig).await?;
    ensure!(count(&rig.destination_db("app"), "c").await? == 200);
    eprintln!("{language}: {}", progress["plugins"][0]);
    rig.commit().await?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

#[tokio::test]
async fn a_python_filter() -> Result<()> {
    filters_a_sync("python").await
}

#[tokio::test]
async fn a_javascript_filter() -> Result<()> {
    filters_a_sync("javascript").await
}

#[tokio::test]
async fn f228_a_filter_in_go_needs_no_system() -> Result<()> {
    filters_a_sync("go").await
}

#[tokio::test]
async fn f229_a_filter_in_c_needs_no_system() -> Result<()> {
    filters_a_sync("c").await
}
