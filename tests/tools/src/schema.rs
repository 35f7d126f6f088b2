//! Requests that schemathesis derives from the OpenAPI document, against hosts that are IDLE and RUNNING.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{Rig, doc, mongod::target_directory};

/// The release of schemathesis from PyPI.
const PACKAGE: &str = "schemathesis==4.32.5";

/// Calls that end the host or the sync.
const LAST_CALLS: [&str; 2] = ["/api/v1/handover", "/api/v1/commit"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Examples for each call
    #[arg(long, default_value_t = 50)]
    examples: u32,
    /// Seed of the examples
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let program = schemathesis()?;
    crate::block_on(async {
        let rig = Rig::start().await?;
        // Not started: a valid body of /start would end the state.
        examine(&program, &rig, options, "IDLE", &["/api/v1/start"])?;
        let source = rig.source_db("app").collection("documents");
        source.insert_one(doc! { "a": 1 }).await?;
        rig.host.start(json!({})).await?;
        rig.host.wait_can_commit().await?;
        examine(&program, &rig, options, "RUNNING", &[])?;
        let answer = rig.host.call("GET", "/healthz", "").await?;
        ensure!(answer.status == 200, "the host answers {}", answer.status);
        rig.abandon();
        Ok(())
    })
}

fn examine(
    program: &Path,
    rig: &Rig,
    options: &Options,
    state: &str,
    without: &[&str],
) -> Result<()> {
    println!("\n{state}");
    let mut command = Command::new(program);
    command.args(["run", "--no-color", "--max-failures", "40"]);
    command.args(["--max-examples", &options.examples.to_string()]);
    command.args(["--seed", &options.seed.to_string()]);
    // Stateful phases guess at links between calls, of which the document names none.
    command.args(["--phases", "examples,coverage,fuzzing"]);
    // Bytes of components are no examples. And a schema cannot say all: that two swaps name different components, or that
    // a digest is known.
    command.args(["--exclude-operation-id", "addPlugin"]);
    command.args(["--exclude-checks", "positive_data_acceptance"]);
    for path in LAST_CALLS.iter().chain(without) {
        command.args(["--exclude-path", path]);
    }
    command.arg(format!(
        "http://127.0.0.1:{}/api/v1/openapi.json",
        rig.host.port()
    ));
    let status = command
        .current_dir(target_directory())
        .status()
        .context("run schemathesis")?;
    ensure!(
        status.success(),
        "schemathesis has found failures: {status}"
    );
    Ok(())
}

/// The program, installed into the target directory once.
fn schemathesis() -> Result<PathBuf> {
    let directory = target_directory().join("schemathesis");
    let program = directory.join("bin").join("schemathesis");
    if !program.is_file() {
        eprintln!("installing {PACKAGE}");
        let venv = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&directory)
            .status()
            .context("run python3")?;
        ensure!(venv.success(), "python3 -m venv fails: {venv}");
        let pip = Command::new(directory.join("bin").join("pip"))
            .args(["install", "--quiet", PACKAGE])
            .status()
            .context("run pip")?;
        ensure!(pip.success(), "pip install {PACKAGE} fails: {pip}");
    }
    Ok(program)
}
