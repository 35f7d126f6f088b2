//! The clusters of a benchmark and the host between them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use support::{
    Host, ReplicaSet, TestDir,
    host::{Arguments, release_binary},
    replica_set::Options,
};

/// Large enough that the data of a case is not read from disk again.
const CACHE_GB: f64 = 1.0;
/// The same for 2 GB.
const LARGE_CACHE_GB: f64 = 3.0;

pub(super) async fn source(directory: &TestDir) -> Result<ReplicaSet> {
    start("source", directory.path().join("source"), CACHE_GB, &[]).await
}

/// A fresh destination; `name` is its directory.
pub(super) async fn destination(directory: &TestDir, name: &str) -> Result<ReplicaSet> {
    start("destination", directory.path().join(name), CACHE_GB, &[]).await
}

/// A source for 2 GB, with more arguments for its server.
pub(super) async fn large_source(directory: &TestDir, arguments: &[&str]) -> Result<ReplicaSet> {
    let path = directory.path().join("source");
    start("source", path, LARGE_CACHE_GB, arguments).await
}

/// A fresh destination for 2 GB, with more arguments for its server.
pub(super) async fn large_destination(
    directory: &TestDir,
    name: &str,
    arguments: &[&str],
) -> Result<ReplicaSet> {
    let path = directory.path().join(name);
    start("destination", path, LARGE_CACHE_GB, arguments).await
}

async fn start(
    name: &str,
    directory: PathBuf,
    cache_gb: f64,
    arguments: &[&str],
) -> Result<ReplicaSet> {
    ReplicaSet::start(
        name,
        directory,
        Options {
            cache_gb,
            arguments: arguments.iter().map(|&one| one.to_owned()).collect(),
            ..Options::default()
        },
    )
    .await
}

/// The released host, running and idle.
pub(super) async fn host(
    directory: &TestDir,
    source: &ReplicaSet,
    destination: &ReplicaSet,
) -> Result<Host> {
    Host::spawn(Arguments {
        binary: release_binary(),
        cluster0: source.uri(),
        cluster1: destination.uri(),
        log_path: directory.path().join("log"),
        more: Vec::new(),
        environment: Vec::new(),
    })
    .await
}

/// Gives each cluster half of the cores, as if it had a machine of its own. Else the writes on the source would take
/// cores from the destination, and a figure would be the machine's.
pub(super) fn set_apart(source: &ReplicaSet, destination: &ReplicaSet) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let half = cores / 2;
    if half == 0 {
        return Ok(());
    }
    for (set, from, to) in [(source, 0, half - 1), (destination, half, cores - 1)] {
        set.process()?.keep_to_cores(from..=to)?;
    }
    Ok(())
}

/// Stops a destination and removes its data, so that the next destination is fresh.
pub(super) fn remove(directory: &TestDir, name: &str, destination: ReplicaSet) -> Result<()> {
    drop(destination);
    std::fs::remove_dir_all(directory.path().join(name)).context("remove a destination's data")
}
