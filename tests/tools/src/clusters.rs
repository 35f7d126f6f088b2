//! Two clusters to play with.

use anyhow::{Context, Result};
use support::{ReplicaSet, TestDir, replica_set::Options};

pub(crate) fn run() -> Result<()> {
    crate::block_on(async {
        let directory = TestDir::new()?;
        let (source, destination) = (
            directory.path().join("source"),
            directory.path().join("destination"),
        );
        let sets = tokio::try_join!(
            ReplicaSet::start("source", source, Options::default()),
            ReplicaSet::start("destination", destination, Options::default()),
        )?;
        println!(
            "--cluster0 '{}' --cluster1 '{}'",
            sets.0.uri(),
            sets.1.uri()
        );
        eprintln!("ctrl-c stops both and removes their data");
        tokio::signal::ctrl_c().await.context("wait for ctrl-c")?;
        drop(sets);
        directory.remove();
        Ok(())
    })
}
