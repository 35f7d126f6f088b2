//! Where the demo plays: two clusters and the released host, under `target/demo`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use support::{
    Host, ReplicaSet,
    host::{Arguments, release_binary},
    mongod::target_directory,
    replica_set::Options,
};

pub(super) struct Stage {
    directory: PathBuf,
    pub(super) source: ReplicaSet,
    pub(super) destination: ReplicaSet,
    pub(super) host: Host,
}

impl Stage {
    /// Begins with an empty directory; the last demo's is removed.
    pub(super) async fn set() -> Result<Self> {
        let directory = target_directory().join("demo");
        if directory.exists() {
            std::fs::remove_dir_all(&directory).context("remove the last demo")?;
        }
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start("source", directory.join("source"), Options::default()),
            ReplicaSet::start(
                "destination",
                directory.join("destination"),
                Options::default()
            ),
        )?;
        let host = Host::spawn(Arguments {
            binary: release_binary(),
            cluster0: source.uri(),
            cluster1: destination.uri(),
            log_path: directory.join("log"),
            more: Vec::new(),
        })
        .await?;
        Ok(Self {
            directory,
            source,
            destination,
            host,
        })
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.host.log_path().to_owned()
    }

    /// Stops everything; the logs stay, the data goes.
    pub(super) fn clear(self) {
        let Self {
            directory,
            source,
            destination,
            host,
        } = self;
        drop((source, destination, host));
        for cluster in ["source", "destination"] {
            remove_data(&directory.join(cluster));
        }
    }
}

/// What cannot be removed now is removed by the next demo.
fn remove_data(cluster: &Path) {
    let _ = std::fs::remove_dir_all(cluster.join("db"));
}
