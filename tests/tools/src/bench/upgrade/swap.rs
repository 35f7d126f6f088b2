//! Swaps of a component under load, between two builds with the same answers.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Host, mongod::target_directory};

use super::{Case, Options, SWAPS, Stage, pause::Newest};

const NAME: &str = "field-mask";

pub(super) async fn run(options: &Options) -> Result<Case> {
    let mask = json!({ "rules": [{ "path": "flags", "action": "set", "value": "hidden" }] });
    let plugins = json!([{ "component": NAME, "config": mask }]);
    let stage = Stage::set_with(json!({ "plugins": plugins })).await?;
    let shipped = target_directory().join("components").join(NAME);
    let shipped = std::fs::read(shipped.with_extension("wasm")).context("read a component")?;
    let mut digests = Vec::new();
    for build in ["one build", "another build"] {
        digests.push(upload(&stage.active, with_section(&shipped, build)).await?);
    }
    let mut gaps_ms = Vec::new();
    for (run, digest) in (1..=(SWAPS / options.common.divide).max(1)).zip(digests.iter().cycle()) {
        let gap = swap(&stage, digest).await?;
        eprintln!("swap {run}: {gap:.0} ms");
        gaps_ms.push(gap);
    }
    let writes_a_second = stage.writer.a_second();
    stage.writer.stop().await?;
    drop((stage.active, stage.source, stage.destination));
    stage.directory.remove();
    Ok(Case {
        name: "swap",
        gaps_ms,
        writes_a_second,
    })
}

async fn upload(host: &Host, component: Vec<u8>) -> Result<String> {
    let answer = host.upload("/api/v1/plugins", component).await?;
    ensure!(answer.status == 200, "the upload answers {}", answer.body);
    let digest = answer
        .body
        .pointer("/plugin/digest")
        .and_then(Value::as_str);
    Ok(digest.context("a digest")?.to_owned())
}

/// The longest time without an applied event, from before the swap until after its answer.
async fn swap(stage: &Stage, digest: &str) -> Result<f64> {
    let body = json!({ "components": [{ "name": NAME, "digest": digest }] }).to_string();
    let asked = async {
        let answer = stage.active.call("POST", "/api/v1/upgrade", &body).await?;
        ensure!(answer.status == 200, "the upgrade answers {}", answer.body);
        Ok(())
    };
    Newest::of(&stage.destination).longest_pause(asked).await
}

/// The component with an additional custom section: other bytes, the same code.
#[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
fn with_section(component: &[u8], text: &str) -> Vec<u8> {
    const NAME: &[u8] = b"build";
    let contents = [&[NAME.len() as u8], NAME, text.as_bytes()].concat();
    [component, &[0, contents.len() as u8], &contents].concat()
}
