//! Components that are uploaded: checked, stored, and active only when asked for
//! (scenarios 74 and 75).

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE};

use super::guests::{FAULTY, MENDED, component, swap, upload, upload_guest};
use crate::steps::{insert, metadata, refused, start_body, wait_in_step};

async fn plugins(rig: &Rig) -> Result<Vec<Value>> {
    let answer = rig.host.call("GET", "/api/v1/plugins", "").await?;
    let plugins = answer.body["plugins"].as_array().context("a list")?;
    Ok(plugins.clone())
}

fn in_use(plugins: &[Value], digest: &str) -> Option<bool> {
    let plugin = plugins.iter().find(|plugin| plugin["digest"] == digest)?;
    plugin["inUse"].as_bool()
}

/// An upload is there after a restart, and changes nothing until it is asked for.
#[tokio::test]
async fn an_upload_is_kept_and_not_activated() -> Result<()> {
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    let shipped = plugins(&rig).await?;
    ensure!(shipped.iter().all(|plugin| plugin["shipped"] == true));
    let faulty = upload_guest(&rig, FAULTY).await?;
    ensure!(
        faulty == upload_guest(&rig, FAULTY).await?,
        "uploading twice is once"
    );
    let options = json!({ "plugins": [{ "component": "faulty" }] });
    rig.host.start(options.clone()).await?;
    let mended = upload_guest(&rig, MENDED).await?;
    let listed = plugins(&rig).await?;
    ensure!(listed.len() == shipped.len() + 2);
    ensure!(in_use(&listed, &faulty) == Some(true) && in_use(&listed, &mended) == Some(false));

    rig.host.wait_can_commit().await?;
    rig.host.restart().await?;
    let listed = plugins(&rig).await?;
    ensure!(
        in_use(&listed, &faulty) == Some(true),
        "the newer build was not asked for"
    );
    ensure!(in_use(&listed, &mended) == Some(false));
    rig.host.start(options).await?;
    swap(&rig, "faulty", &mended).await?;
    ensure!(in_use(&plugins(&rig).await?, &mended) == Some(true));
    insert(&source, "c", vec![doc! { "_id": 2, "fault": "refuse" }]).await?;
    wait_in_step(&rig).await?;
    rig.host.restart().await?;
    rig.host
        .wait_until("the swap is kept", DEADLINE, |progress| {
            progress["plugins"][0]["digest"] == mended.as_str()
        })
        .await?;
    // Both builds, and the namespace filter.
    ensure!(metadata(&rig, "components").await?.len() == 3);
    rig.finish().await?;
    Ok(())
}

/// What cannot run here is refused by name, and what runs is untouched.
#[tokio::test]
async fn s75_components_that_do_not_fit_are_refused() -> Result<()> {
    let rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    let newer = newer_build()?;
    for (bytes, name, holds) in [
        (
            b"no component".to_vec(),
            "PluginNotSupported",
            "not a component",
        ),
        (newer, "PluginNotSupported", "1.9.0"),
    ] {
        let answer = rig.host.upload("/api/v1/plugins", bytes).await?;
        ensure!(answer.error() == name, "{}", answer.body);
        ensure!(answer.body.to_string().contains(holds), "{}", answer.body);
    }
    for (plugins, error) in [
        (json!([{ "component": "not-there" }]), "PluginNotFound"),
        (
            json!([{ "component": "field-mask", "config": { "rules": 1 } }]),
            "InvalidField",
        ),
        (
            json!([{ "component": "field-mask", "onEror": "stop" }]),
            "UnknownField",
        ),
        (
            json!([{ "component": "field-mask", "onError": "skip" }]),
            "InvalidField",
        ),
    ] {
        refused(
            &rig,
            "start",
            start_body(json!({ "plugins": plugins })),
            error,
        )
        .await?;
    }
    rig.host.start(json!({})).await?;
    upload(&rig, component(FAULTY)?).await?;
    let unknown = json!({ "components": [{ "name": "faulty", "digest": "sha256:00" }] });
    refused(&rig, "upgrade", unknown, "PluginNotFound").await?;
    rig.finish().await?;
    Ok(())
}

/// A component that says it was built for a contract of tomorrow.
fn newer_build() -> Result<Vec<u8>> {
    let mut bytes = component(FAULTY)?;
    let (known, newer) = (b"@1.0.0", b"@1.9.0");
    let mut found = 0;
    for at in 0..bytes.len() - known.len() {
        if bytes[at..].starts_with(known) {
            bytes[at..at + known.len()].copy_from_slice(newer);
            found += 1;
        }
    }
    ensure!(found > 0, "the stamp is not where it was");
    Ok(bytes)
}
