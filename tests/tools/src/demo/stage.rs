//! Where the demo plays: two clusters and the hosts, under `target/demo`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use support::{Host, ReplicaSet, host::Arguments, mongod::target_directory, replica_set::Options};

pub(super) struct Stage {
    directory: PathBuf,
    pub(super) source: ReplicaSet,
    pub(super) destination: ReplicaSet,
    /// The host that works on the sync.
    pub(super) host: Host,
    new: PathBuf,
}

impl Stage {
    /// Begins with an empty directory, the last demo's removed, and with the old binary.
    pub(super) async fn set(old: &Path, new: &Path) -> Result<Self> {
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
            binary: old.to_owned(),
            cluster0: source.uri(),
            cluster1: destination.uri(),
            log_path: directory.join("log"),
            more: Vec::new(),
            environment: Vec::new(),
        })
        .await?;
        Ok(Self {
            directory,
            source,
            destination,
            host,
            new: new.to_owned(),
        })
    }

    /// A standby of the new binary, with the arguments of the active host.
    pub(super) async fn stand_by(&self) -> Result<Host> {
        Host::spawn(Arguments {
            binary: self.new.clone(),
            ..self.host.arguments().clone()
        })
        .await
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
            ..
        } = self;
        drop((source, destination, host));
        for cluster in ["source", "destination"] {
            remove_data(&directory.join(cluster));
        }
    }
}

/// Data that cannot be removed now is removed by the next demo.
fn remove_data(cluster: &Path) {
    let _ = std::fs::remove_dir_all(cluster.join("db"));
}
