//! What plugins cost: a document in the sandbox against native code, and a whole
//! copy with and without them.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::TestDir;

use super::{Options, copy, load, round, sides};
use crate::build::command;

const DOCUMENTS: u64 = 1_000_000;
const SIZE: usize = 1024;

/// The cases of both parts.
pub(super) async fn run(options: &Options) -> Result<Vec<Value>> {
    let mut cases = Vec::new();
    if options.wants("document") {
        cases.extend(documents()?);
    }
    if options.wants("copy") {
        cases.extend(copies(options).await?);
    }
    Ok(cases)
}

/// The part without clusters is a program of its own: it links the host.
fn documents() -> Result<Vec<Value>> {
    let output = command()
        .args(["bench", "--quiet", "--locked", "--package", "tests"])
        .args(["--bench", "plugin"])
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo bench")?;
    ensure!(output.status.success(), "the benchmark failed: {}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("read the report")?;
    Ok(report["cases"].as_array().cloned().unwrap_or_default())
}

/// The start options of each copy: none comes first, and the others are compared with it.
fn plugins() -> [(&'static str, Value); 3] {
    let chain = |component: &str, config: Value| {
        json!({ "plugins": [{ "component": component, "config": config }] })
    };
    let keep = json!({ "filter": { "number": { "$gte": 0 } } });
    let mask = json!({ "rules": [
        { "path": "number", "action": "set", "value": 0 },
        { "path": "flags", "action": "set", "value": "hidden" },
    ] });
    [
        ("copy_no_plugin", json!({})),
        ("copy_filter_keeps_all", chain("document-filter", keep)),
        ("copy_mask_rewrites_all", chain("field-mask", mask)),
    ]
}

async fn copies(options: &Options) -> Result<Vec<Value>> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    load::documents(source.client(), DOCUMENTS / options.divide, SIZE).await?;
    let mut walls: [Vec<f64>; 3] = Default::default();
    let mut cpus: [Vec<f64>; 3] = Default::default();
    // In turn, so that a slow minute of the machine hits all three.
    for run in 1..=options.runs {
        for (at, (name, start)) in plugins().into_iter().enumerate() {
            let case = copy::ours(&directory, &source, start).await?;
            eprintln!("{name} run {run}: {:.2} s, CPU {:.2} s", case.ours_s, case.cpu_s);
            walls[at].push(case.ours_s);
            cpus[at].push(case.cpu_s);
        }
    }
    drop(source);
    directory.remove();
    let walls = walls.map(median);
    let cpus = cpus.map(median);
    let cases = plugins().into_iter().enumerate().map(|(at, (name, _))| {
        json!({
            "name": name, "wall_s": round(walls[at]), "ratio": round(walls[at] / walls[0]),
            "cpu_s": round(cpus[at]),
        })
    });
    Ok(cases.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
