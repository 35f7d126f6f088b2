//! Two clusters to play with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use support::workload::{self, Pace, Writer};
use support::{ReplicaSet, TestDir, replica_set};

/// As an application's on a quiet day.
const PACE: Pace = Pace {
    operations_per_second: 100,
    ddl_every: Some(Duration::from_secs(2)),
};

/// Longer than anyone plays.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The options of `cargo xtask clusters`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fill the first cluster with a set of this many documents, in collections of every kind
    #[arg(long, default_value_t = 0)]
    documents: u64,
    /// An application keeps changing the set, until the cluster refuses its writes
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.documents > 0 || !options.write,
        "--write needs --documents, the set that is changed"
    );
    crate::block_on(async {
        let directory = TestDir::new()?;
        let (source, destination) = (
            directory.path().join("source"),
            directory.path().join("destination"),
        );
        let sets = tokio::try_join!(
            ReplicaSet::start("source", source, replica_set::Options::default()),
            ReplicaSet::start("destination", destination, replica_set::Options::default()),
        )?;
        let client = sets.0.client();
        if options.documents > 0 {
            let loaded = workload::load(client, options.documents, 1).await?;
            eprintln!(
                "{} documents in {} collections of cluster0",
                loaded.documents, loaded.collections
            );
        }
        println!(
            "--cluster0 '{}' --cluster1 '{}'",
            sets.0.uri(),
            sets.1.uri()
        );
        eprintln!("ctrl-c stops both and removes their data");
        let write = async {
            if options.write {
                let writer = Writer::start(client, options.documents, 1, PACE);
                eprintln!("an application writes to cluster0");
                let refused = writer.until_blocked(PATIENCE).await?;
                eprintln!(
                    "cluster0 refuses writes (371): the application has made {} and stops",
                    refused.counts.total()
                );
            }
            std::future::pending::<Result<()>>().await
        };
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped.context("wait for ctrl-c")?,
            failed = write => failed?,
        }
        drop(sets);
        directory.remove();
        Ok(())
    })
}
