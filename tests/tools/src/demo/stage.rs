//! Where an act plays: two clusters and the hosts, in a directory of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mongodb::Client;
use support::{
    Host, ReplicaSet, doc, guide,
    host::Arguments,
    replica_set::{self, Options},
};

pub(super) struct Stage {
    directory: PathBuf,
    pub(super) source: ReplicaSet,
    pub(super) destination: ReplicaSet,
    /// The host that works on the sync.
    pub(super) host: Host,
}

impl Stage {
    /// Clusters without access control. The directory of the last demo is removed.
    pub(super) async fn open(directory: PathBuf, binary: &Path) -> Result<Self> {
        let (source, destination) = clusters(&directory, &Options::default()).await?;
        let uris = (source.uri(), destination.uri());
        Self::of(directory, source, destination, binary, uris).await
    }

    /// Clusters with TLS and users. The host's users have the roles of both sides in `docs/preflight.md`, as a sync
    /// needs them that can be reversed, and no other role.
    pub(super) async fn secure(directory: PathBuf, binary: &Path) -> Result<Self> {
        let (source, destination) = clusters(&directory, &Options::secure()).await?;
        let uris = (
            guide::user(&source, "tidegateSource").await?,
            guide::user(&destination, "tidegateDestination").await?,
        );
        guide::grant(&source, "tidegateDestination").await?;
        guide::grant(&destination, "tidegateSource").await?;
        Self::of(directory, source, destination, binary, uris).await
    }

    async fn of(
        directory: PathBuf,
        source: ReplicaSet,
        destination: ReplicaSet,
        binary: &Path,
        (cluster0, cluster1): (String, String),
    ) -> Result<Self> {
        let host = Host::spawn(Arguments {
            binary: binary.to_owned(),
            cluster0,
            cluster1,
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
        })
    }

    /// A standby of that binary, with the arguments of the active host.
    pub(super) async fn stand_by(&self, binary: &Path) -> Result<Host> {
        Host::spawn(Arguments {
            binary: binary.to_owned(),
            ..self.host.arguments().clone()
        })
        .await
    }

    /// Stops everything; the logs stay, the data goes. Returns the result of the act; an error names the log.
    pub(super) fn clear<T>(self, played: Result<T>) -> Result<T> {
        let log = self.host.log_path().to_owned();
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
        played.with_context(|| format!("the host's log is in {}", log.display()))
    }
}

async fn clusters(directory: &Path, options: &Options) -> Result<(ReplicaSet, ReplicaSet)> {
    if directory.exists() {
        std::fs::remove_dir_all(directory).context("remove the last demo")?;
    }
    tokio::try_join!(
        ReplicaSet::start("source", directory.join("source"), options.clone()),
        ReplicaSet::start(
            "destination",
            directory.join("destination"),
            options.clone()
        ),
    )
}

/// A client of a user that an application has: no role of its own lets it write past a write block.
pub(super) async fn application(set: &ReplicaSet) -> Result<Client> {
    let roles = ["readWriteAnyDatabase", "dbAdminAnyDatabase"];
    set.admin(doc! { "createUser": "app", "pwd": "pw", "roles": &roles[..] })
        .await?;
    replica_set::client(&set.uri_of("app", "pw")).await
}

/// Data that cannot be removed now is removed by the next demo.
fn remove_data(cluster: &Path) {
    let _ = std::fs::remove_dir_all(cluster.join("db"));
}
