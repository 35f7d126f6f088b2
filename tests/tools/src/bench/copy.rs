//! Collection copy: from `POST /start` until change events are applied.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use support::{ReplicaSet, TestDir, host::can_commit};

use super::{Amount, Case, Options, floor, load, median, sides};

const DEADLINE: Duration = Duration::from_secs(600);

/// Name, documents, bytes a document.
const CASES: [(&str, u64, usize); 2] = [
    ("documents_1kib", 1_000_000, 1024),
    ("documents_122b", 3_000_000, 122),
];

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, documents, size) in CASES {
        if options.wants(name) {
            cases.push(case(options, name, documents / options.divide, size).await?);
        }
    }
    Ok(cases)
}

async fn case(options: &Options, name: &'static str, documents: u64, size: usize) -> Result<Case> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    eprintln!("{name}: loading {documents} documents");
    let bytes = load::documents(source.client(), documents, size).await?;
    let measured = median(options, async || {
        let floor_s = floor(&directory, &source).await?;
        let mut case = ours(&directory, &source, json!({})).await?;
        (case.name, case.amount, case.floor_s) = (name, Amount::Bytes(bytes), floor_s);
        Ok(case)
    })
    .await
    .with_context(|| format!("files are in {}", directory.path().display()))?;
    drop(source);
    directory.remove();
    Ok(measured)
}

async fn floor(directory: &TestDir, source: &ReplicaSet) -> Result<f64> {
    let destination = sides::destination(directory, "floor").await?;
    load::warm(source.client()).await?;
    let took = floor::copy(source.client(), destination.client()).await?;
    remove(directory, "floor", destination)?;
    Ok(took.as_secs_f64())
}

/// A whole sync with these options of `/start`, up to `canCommit`.
pub(super) async fn ours(directory: &TestDir, source: &ReplicaSet, options: Value) -> Result<Case> {
    let destination = sides::destination(directory, "ours").await?;
    let host = sides::host(directory, source, &destination).await?;
    load::warm(source.client()).await?;
    let before = host.usage();
    let begun = Instant::now();
    host.start(options).await?;
    host.wait_until("the copy is done", DEADLINE, can_commit)
        .await?;
    let ours_s = begun.elapsed().as_secs_f64();
    let after = host.usage();
    drop(host);
    remove(directory, "ours", destination)?;
    Ok(Case {
        name: "",
        amount: Amount::Bytes(0),
        floor_s: 0.0,
        ours_s,
        cpu_s: after.cpu_seconds() - before.cpu_seconds(),
        peak_rss_mb: after.peak_rss_mb(),
    })
}

/// Stops a destination and removes its data, so that the next destination is fresh.
fn remove(directory: &TestDir, name: &str, destination: ReplicaSet) -> Result<()> {
    drop(destination);
    std::fs::remove_dir_all(directory.path().join(name)).context("remove a destination's data")
}
