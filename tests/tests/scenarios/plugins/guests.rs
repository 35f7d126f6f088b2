//! The components that these tests upload: each of `tests/guests`, built with the
//! shipped ones by `cargo xtask build`.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Rig, mongod::target_directory};

/// A constant for each guest program. A guest without a constant, or a constant without a use, does not compile:
/// see `tests/build.rs`.
macro_rules! guests {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) const $name: &str = $file;)+
        const GUESTS: &[&str] = &[$($file),+];
    };
}

guests! {
    DELTA = "delta",
    FAULTY = "faulty",
    HALF_STEP = "half-step",
    FAULTY_FIXED = "faulty-fixed",
    OBSERVER = "observer",
    STAMP = "stamp",
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// A guest's component.
pub(crate) fn component(name: &str) -> Result<Vec<u8>> {
    let file = target_directory()
        .join("guests")
        .join(format!("{name}.wasm"));
    std::fs::read(&file)
        .with_context(|| format!("read {}: run `cargo xtask build` once", file.display()))
}

/// Uploads a component. Returns the host's description of it.
pub(crate) async fn upload(rig: &Rig, component: Vec<u8>) -> Result<Value> {
    let answer = rig.host.upload("/api/v1/plugins", component).await?;
    ensure!(answer.status == 200, "the upload answers {}", answer.body);
    answer.body.get("plugin").cloned().context("a plugin")
}

/// Uploads a guest. Returns its digest.
pub(crate) async fn upload_guest(rig: &Rig, name: &str) -> Result<String> {
    let plugin = upload(rig, component(name)?).await?;
    Ok(plugin["digest"].as_str().context("a digest")?.to_owned())
}

/// Replaces the component called `name` by the component with this digest.
pub(crate) async fn swap(rig: &Rig, name: &str, digest: &str) -> Result<()> {
    let body = json!({ "components": [{ "name": name, "digest": digest }] });
    let answer = rig
        .host
        .call("POST", "/api/v1/upgrade", &body.to_string())
        .await?;
    ensure!(answer.status == 200, "the upgrade answers {}", answer.body);
    Ok(())
}
