//! The cost of plugins: a document in the sandbox compared with native code, and a whole copy with and without
//! plugins.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::TestDir;

use super::{Options, copy, load::Documents, round, sides};
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
        .args([
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "tidegate-tests",
        ])
        .args(["--bench", "plugin"])
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo bench")?;
    ensure!(
        output.status.success(),
        "the benchmark failed: {}",
        output.status
    );
    let report: Value = serde_json::from_slice(&output.stdout).context("read the report")?;
    let cases = report.get("cases").and_then(Value::as_array).cloned();
    cases.context("the report has no cases")
}

/// The start options of each copy: none comes first, and the others are compared with it.
fn plugins() -> [(&'static str, Value); 3] {
    let chain = |component: &str, config: Value| json!({ "plugins": [{ "component": component, "config": config }] });
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
    let documents = Documents::new(DOCUMENTS / options.common.divide, SIZE);
    documents.insert(source.client()).await?;
    let mut series = plugins().map(|(name, start)| Series {
        name,
        start,
        walls: Vec::new(),
        cpus: Vec::new(),
    });
    // In turn, so that a slow minute of the machine hits all of them.
    for run in 1..=options.runs {
        for one in &mut series {
            let case = copy::ours(&directory, &source, &documents, one.start.clone()).await?;
            eprintln!(
                "{} run {run}: {:.2} s, CPU {:.2} s",
                one.name, case.ours_s, case.cpu_s
            );
            one.walls.push(case.ours_s);
            one.cpus.push(case.cpu_s);
        }
    }
    drop(source);
    directory.remove();
    let [none, ..] = &series;
    let floor_s = median(&none.walls);
    Ok(series.iter().map(|one| one.to_json(floor_s)).collect())
}

/// The runs of a way to copy.
struct Series {
    name: &'static str,
    start: Value,
    walls: Vec<f64>,
    cpus: Vec<f64>,
}

impl Series {
    fn to_json(&self, floor_s: f64) -> Value {
        let wall_s = median(&self.walls);
        json!({
            "name": self.name,
            "wall_s": round(wall_s),
            "ratio": round(wall_s / floor_s),
            "cpu_s": round(median(&self.cpus)),
        })
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
