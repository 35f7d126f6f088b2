//! Components that are uploaded: checked, stored, and active only when asked for
//! (scenarios 74 and 75).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, TestDir, host::DEADLINE, rig::Options};

use super::guests::{FAULTY, FAULTY_FIXED, STAMP, component, swap, upload, upload_guest};
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
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    let listed = plugins(&rig).await?;
    ensure!(listed.len() == shipped.len() + 2);
    ensure!(in_use(&listed, &faulty) == Some(true) && in_use(&listed, &fixed) == Some(false));

    rig.host.wait_can_commit().await?;
    rig.host.restart().await?;
    let listed = plugins(&rig).await?;
    ensure!(
        in_use(&listed, &faulty) == Some(true),
        "the newer build was not asked for"
    );
    ensure!(in_use(&listed, &fixed) == Some(false));
    rig.host.start(options).await?;
    swap(&rig, "faulty", &fixed).await?;
    ensure!(in_use(&plugins(&rig).await?, &fixed) == Some(true));
    insert(&source, "c", vec![doc! { "_id": 2, "fault": "refuse" }]).await?;
    wait_in_step(&rig).await?;
    rig.host.restart().await?;
    rig.host
        .wait_until("the swap is kept", DEADLINE, |progress| {
            progress["plugins"][0]["digest"] == fixed.as_str()
        })
        .await?;
    // Both builds, and the namespace filter.
    ensure!(metadata(&rig, "components").await?.len() == 3);
    rig.finish().await?;
    Ok(())
}

/// Components that cannot run here are refused by name, and running components are unaffected.
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

/// Finding 35: components that would take minutes to compile are refused at once, and no call waits for a
/// compilation of seconds.
#[tokio::test]
async fn f35_an_upload_that_compiles_keeps_no_call_waiting() -> Result<()> {
    // Components compiled by an earlier run would be taken from the cache.
    let cache = TestDir::new()?;
    let in_cache = (
        "XDG_CACHE_HOME".to_owned(),
        cache.path().display().to_string(),
    );
    let rig = Rig::with(Options {
        host_environment: vec![in_cache],
        ..Options::default()
    })
    .await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let huge = with_function(component(FAULTY)?, 1_700_000);
    let began = Instant::now();
    let answer = rig.host.upload("/api/v1/plugins", huge).await?;
    ensure!(answer.error() == "PluginNotSupported", "{}", answer.body);
    ensure!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );

    let large = with_function(component(FAULTY)?, 400_000);
    let upload = upload(&rig, large);
    let calls = async {
        let began = Instant::now();
        rig.host.pause().await?;
        rig.host.progress().await?;
        rig.host.resume().await?;
        anyhow::Ok(began.elapsed())
    };
    let began = Instant::now();
    let (uploaded, calls) = tokio::join!(upload, calls);
    let (uploaded, calls, compiled) = (uploaded?, calls?, began.elapsed());
    ensure!(uploaded["name"] == "faulty", "{uploaded}");
    ensure!(
        compiled > Duration::from_secs(1),
        "it was compiled in {compiled:?}"
    );
    ensure!(
        calls < compiled / 2,
        "calls took {calls:?}, the upload {compiled:?}"
    );
    rig.finish().await?;
    cache.remove();
    Ok(())
}

/// A component with an additional module, of a single function with a body of this many bytes.
fn with_function(mut component: Vec<u8>, bytes: usize) -> Vec<u8> {
    // No locals; the parameter, and 77,777 more again and again.
    let mut body = vec![0, 0x20, 0x00];
    while body.len() < bytes {
        body.extend([0x41, 0xd1, 0xdf, 0x04, 0x6a]);
    }
    body.push(0x0b);
    let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len()), content].concat();
    let code = [vec![1], leb(body.len()), body].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, vec![1, 0]),
        section(10, code),
    ]
    .concat();
    component.extend(section(1, module));
    component
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Finding 36: uploads were kept each time, for good.
#[tokio::test]
async fn f36_an_upload_is_stored_once_and_can_be_deleted() -> Result<()> {
    let mut rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    let before = upload_guest(&rig, STAMP).await?;
    upload_guest(&rig, STAMP).await?;
    let delete = async |rig: &Rig, digest: &str| {
        rig.host
            .call("DELETE", &format!("/api/v1/plugins/{digest}"), "")
            .await
    };
    ensure!(
        delete(&rig, &before).await?.status == 200,
        "before the start"
    );
    let faulty = upload_guest(&rig, FAULTY).await?;
    rig.host
        .start(json!({ "plugins": [{ "component": "faulty" }] }))
        .await?;
    ensure!(
        metadata(&rig, "components").await?.len() == 2,
        "faulty and the filter"
    );
    for _ in 0..3 {
        upload_guest(&rig, FAULTY_FIXED).await?;
    }
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    ensure!(metadata(&rig, "components").await?.len() == 3);
    ensure!(metadata(&rig, "componentChunks").await?.len() == 3);

    let shipped = plugins(&rig).await?;
    let shipped = shipped[0]["digest"]
        .as_str()
        .context("a digest")?
        .to_owned();
    for digest in [&faulty, &shipped] {
        let answer = delete(&rig, digest).await?;
        ensure!(answer.error() == "PluginInUse", "{}", answer.body);
    }
    ensure!(delete(&rig, &fixed).await?.status == 200);
    let answer = delete(&rig, &fixed).await?;
    ensure!(answer.error() == "PluginNotFound", "{}", answer.body);
    ensure!(metadata(&rig, "componentChunks").await?.len() == 2);
    rig.host.restart().await?;
    ensure!(in_use(&plugins(&rig).await?, &fixed).is_none());
    rig.host.wait_can_commit().await?;
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
