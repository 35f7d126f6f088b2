//! The rig of a scenario: two clusters and a host between them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use mongodb::Database;

use crate::{
    Comparison, Host, LogCheck, ReplicaSet, TestDir,
    compare::{Expectation, compare},
    host::{self, Arguments},
    proxy::{Proxies, Proxy},
    replica_set,
};

/// Options of a rig.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub source: replica_set::Options,
    pub destination: replica_set::Options,
    /// The point at which the first host kills itself.
    pub kill_at: Option<String>,
    /// More arguments for the host.
    pub host_arguments: Vec<String>,
    /// More of the host's environment.
    pub host_environment: Vec<(String, String)>,
    /// The host's binary; by default the binary next to the running test.
    pub host_binary: Option<PathBuf>,
    /// A proxy before each cluster, through which the hosts go. Not with TLS.
    pub proxied: bool,
}

impl Options {
    /// Both clusters with keyFile, users and TLS.
    pub fn secure() -> Self {
        let secure = replica_set::Options::secure;
        Self {
            source: secure(),
            destination: secure(),
            ..Self::default()
        }
    }
}

/// Two clusters and a host. Ends with [`Rig::finish`]; a rig that is dropped
/// before keeps its directory.
pub struct Rig {
    pub source: ReplicaSet,
    pub destination: ReplicaSet,
    pub host: Host,
    pub log: LogCheck,
    proxies: Option<Proxies>,
    expectation: Box<dyn Expectation>,
    directory: TestDir,
}

impl Rig {
    pub async fn start() -> Result<Self> {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Result<Self> {
        let directory = TestDir::new()?;
        let path = |name: &str| directory.path().join(name);
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start(
                "source",
                path("source"),
                options.source.with_mongod_of("MONGOD_SOURCE")
            ),
            ReplicaSet::start(
                "destination",
                path("destination"),
                options.destination.with_mongod_of("MONGOD_DESTINATION")
            ),
        )?;
        let proxies = match options.proxied {
            true => Some(Proxies::before(&source, &destination).await?),
            false => None,
        };
        let arguments = Arguments {
            binary: options.host_binary.map_or_else(host::binary, Ok)?,
            cluster0: uri(&source, proxies.as_ref().map(|both| &both.source)),
            cluster1: uri(&destination, proxies.as_ref().map(|both| &both.destination)),
            log_path: directory.path().join("log"),
            more: options.host_arguments,
            environment: options.host_environment,
        };
        let log = LogCheck::new(&arguments.log_path);
        let host = Host::spawn_to_be_killed(arguments, options.kill_at.as_deref())
            .await
            .with_context(|| {
                format!(
                    "start the host; files are in {}",
                    directory.path().display()
                )
            })?;
        Ok(Self {
            source,
            destination,
            host,
            log,
            proxies,
            expectation: Box::new(|_: &str, _: &str| true),
            directory,
        })
    }

    /// The proxies of a rig with `proxied`.
    pub fn proxies(&self) -> Result<&Proxies> {
        self.proxies.as_ref().context("the rig has no proxies")
    }

    /// Compare only these namespaces of the source: database, collection.
    pub fn set_scope(&mut self, scope: impl Fn(&str, &str) -> bool + Send + Sync + 'static) {
        self.expectation = Box::new(scope);
    }

    /// Expect this of the destination.
    pub fn expect(&mut self, expectation: impl Expectation + 'static) {
        self.expectation = Box::new(expectation);
    }

    /// Lets log lines of level ERROR or WARN pass that hold this text.
    pub fn allow_log(&mut self, text: &str) {
        self.log.allow(text);
    }

    pub fn source_db(&self, name: &str) -> Database {
        self.source.db(name)
    }

    pub fn destination_db(&self, name: &str) -> Database {
        self.destination.db(name)
    }

    /// Waits for canCommit, commits and waits until that is done.
    pub async fn commit(&self) -> Result<()> {
        self.host.wait_can_commit().await?;
        self.host.commit().await?;
        self.host.wait_for_state("COMMITTED").await?;
        Ok(())
    }

    /// Compares both clusters; fails on a difference.
    pub async fn compare(&self) -> Result<Comparison> {
        let (source, destination) = (self.source.client(), self.destination.client());
        compare(source, destination, &*self.expectation)
            .await?
            .into_result()
    }

    /// Commits, compares, checks the log, stops everything and removes the files.
    pub async fn finish(self) -> Result<Comparison> {
        self.commit().await?;
        self.close().await
    }

    /// The remaining part of [`Rig::finish`] after a commit by the test itself.
    pub async fn close(self) -> Result<Comparison> {
        let compared = self.compare().await?;
        self.log.check()?;
        self.abandon();
        Ok(compared)
    }

    /// Empties the destination, metadata included, and starts a fresh host for it, so that the next run of a series
    /// begins from scratch. The source stays.
    pub async fn begin_again(&mut self, kill_at: Option<&str>) -> Result<()> {
        if self.host.process().is_ok() {
            self.host.kill()?;
        }
        self.destination.drop_all().await?;
        self.host.restart_to_be_killed(kill_at).await
    }

    /// Ends without a comparison: for tests whose syncs do not finish.
    pub fn abandon(self) {
        let Self {
            source,
            destination,
            host,
            directory,
            ..
        } = self;
        drop((source, destination, host));
        directory.remove();
    }
}

/// The connection string that hosts are given.
fn uri(set: &ReplicaSet, proxy: Option<&Proxy>) -> String {
    proxy.map_or_else(|| set.uri(), |proxy| proxy.uri().to_owned())
}
