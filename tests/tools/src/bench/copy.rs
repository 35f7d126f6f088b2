//! Collection copy: from `POST /start` until change events are applied.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use support::{ReplicaSet, TestDir, host::can_commit};

use super::{
    Amount, Case, Options,
    floor::{self, Reads, Way},
    load::Documents,
    median, sides,
};

const DEADLINE: Duration = Duration::from_secs(600);

/// Name, documents, bytes a document.
const CASES: [(&str, u64, usize); 2] = [
    ("documents_1kib", 1_000_000, 1024),
    ("documents_122b", 3_000_000, 122),
];

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, count, bytes) in CASES {
        if options.wants(name) {
            let documents = Documents::new(count / options.common.divide, bytes);
            cases.push(case(options, name, &documents).await?);
        }
    }
    Ok(cases)
}

async fn case(options: &Options, name: &'static str, documents: &Documents) -> Result<Case> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    eprintln!("{name}: loading {} documents", documents.count);
    let bytes = documents.insert(source.client()).await?;
    let measured = async {
        let way = fastest(&directory, &source, documents).await?;
        median(options, async || {
            let floor_s = floor(&directory, &source, documents, way).await?;
            let mut case = ours(&directory, &source, documents, json!({})).await?;
            (case.name, case.amount) = (name, Amount::Bytes(bytes));
            (case.floor_s, case.floor_way) = (floor_s, Some(way));
            Ok(case)
        })
        .await
    };
    let measured = Box::pin(measured)
        .await
        .with_context(|| format!("files are in {}", directory.path().display()))?;
    drop(source);
    directory.remove();
    Ok(measured)
}

/// The fastest of several ways to copy on this machine: first the way of reading is chosen, then the size of a
/// batch, then the number of writers.
async fn fastest(directory: &TestDir, source: &ReplicaSet, documents: &Documents) -> Result<Way> {
    let choices: [fn(Way) -> [Way; 2]; 3] = [
        |way| [Reads::Ranges, Reads::Natural].map(|reads| Way { reads, ..way }),
        |way| [1, 4].map(|batch_mib| Way { batch_mib, ..way }),
        |way| [2, 8].map(|writers| Way { writers, ..way }),
    ];
    let mut best = (Way::USUAL, f64::INFINITY);
    for alternatives in choices {
        for way in alternatives(best.0) {
            let took = floor(directory, source, documents, way).await?;
            eprintln!("floor: {took:.2} s ({way})");
            if took < best.1 {
                best = (way, took);
            }
        }
    }
    Ok(best.0)
}

async fn floor(
    directory: &TestDir,
    source: &ReplicaSet,
    documents: &Documents,
    way: Way,
) -> Result<f64> {
    let destination = sides::destination(directory, "floor").await?;
    documents.warm(source.client()).await?;
    let took = floor::copy(source.client(), destination.client(), documents, way).await?;
    sides::remove(directory, "floor", destination)?;
    Ok(took.as_secs_f64())
}

/// A whole sync with these options of `/start`, up to `canCommit`.
pub(super) async fn ours(
    directory: &TestDir,
    source: &ReplicaSet,
    documents: &Documents,
    options: Value,
) -> Result<Case> {
    let destination = sides::destination(directory, "ours").await?;
    let host = sides::host(directory, source, &destination).await?;
    documents.warm(source.client()).await?;
    let before = host.usage();
    let begun = Instant::now();
    host.start(options).await?;
    host.wait_until("the copy is done", DEADLINE, can_commit)
        .await?;
    let ours_s = begun.elapsed().as_secs_f64();
    let after = host.usage();
    drop(host);
    sides::remove(directory, "ours", destination)?;
    Ok(Case {
        name: "",
        amount: Amount::Bytes(0),
        floor_s: 0.0,
        floor_way: None,
        ours_s,
        cpu_s: after.cpu_seconds() - before.cpu_seconds(),
        peak_rss_mb: after.peak_rss_mb(),
    })
}
