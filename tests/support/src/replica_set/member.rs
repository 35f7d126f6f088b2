//! A server of a set: started, killed, stopped and started again on its port and its data.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use anyhow::{Context, Result, bail};

use super::{
    DEADLINE, Options,
    links::{Links, ProcessId},
};
use crate::{
    mongod,
    process::{Process, free_port},
    tls::Certificates,
    wait::{Look, wait_until},
};

/// The argument with the directory of Unix sockets: without it there are none.
const UNIX_SOCKETS: &str = "--unixSocketPrefix";

pub(super) struct Member {
    /// Its data and its log.
    directory: PathBuf,
    port: u16,
    /// The address of its link, by which the set knows it.
    link: Option<String>,
    process: Option<Process>,
    process_id: ProcessId,
}

/// Gives each member a link.
pub(super) async fn link(members: &mut [Member]) -> Result<Links> {
    let ports = members.iter().map(|one| (one.port, one.process_id.clone()));
    let (links, addresses) = Links::before(&ports.collect::<Vec<_>>()).await?;
    for (member, address) in members.iter_mut().zip(addresses) {
        member.link = Some(address);
    }
    Ok(links)
}

/// Parameters that all members of a set share.
pub(super) struct Start<'a> {
    pub(super) set: &'a str,
    pub(super) options: &'a Options,
    pub(super) certificates: Option<&'a Certificates>,
}

impl Member {
    pub(super) fn new(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(directory.join("db")).context("create a dbPath")?;
        Ok(Self {
            directory,
            port: free_port()?,
            link: None,
            process: None,
            process_id: ProcessId::default(),
        })
    }

    pub(super) fn address(&self) -> String {
        let link = self.link.clone();
        link.unwrap_or_else(|| format!("127.0.0.1:{}", self.port))
    }

    /// Where it writes what it rolls back.
    pub(super) fn rolled_back(&self) -> PathBuf {
        self.directory.join("db").join("rollback")
    }

    pub(super) fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the server is not running")
    }

    pub(super) fn take(&mut self) -> Result<Process> {
        self.process.take().context("the server is not running")
    }

    /// Starts the server; it listens when this returns.
    pub(super) async fn spawn(&mut self, start: &Start<'_>) -> Result<()> {
        let mut process = Process::spawn(&mut self.command(start)?)?;
        self.process_id.store(process.id(), Ordering::Relaxed);
        let what = format!("mongod {} listens on port {}", start.set, self.port);
        wait_until(&what, DEADLINE, async || {
            if let Some(status) = process.ended()? {
                bail!(
                    "mongod ended with {status}; see {}",
                    self.directory.display()
                );
            }
            let answer = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
            Ok(answer.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    fn command(&self, start: &Start<'_>) -> Result<Command> {
        let Start {
            set,
            options,
            certificates,
        } = start;
        let mut command = match &options.mongod {
            Some(binary) => mongod::command(binary),
            None => mongod::command(&mongod::obtain()?),
        };
        command
            .args(["--bind_ip", "127.0.0.1"])
            .args(["--port", &self.port.to_string()])
            .arg("--dbpath")
            .arg(self.directory.join("db"))
            .arg("--logpath")
            .arg(self.directory.join("mongod.log"))
            .args([
                "--logappend",
                "--wiredTigerCacheSizeGB",
                &options.cache_gb.to_string(),
            ])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if !options.arguments.iter().any(|one| one == UNIX_SOCKETS) {
            command.arg("--nounixsocket");
        }
        if options.replicated {
            command.args(["--replSet", set]);
        }
        if let Some(certificates) = certificates {
            command
                .arg("--keyFile")
                .arg(self.directory.join("key"))
                .args([
                    "--tlsMode",
                    "requireTLS",
                    "--tlsAllowConnectionsWithoutCertificates",
                ])
                .arg("--tlsCAFile")
                .arg(&certificates.authority)
                .arg("--tlsCertificateKeyFile")
                .arg(&certificates.server);
        }
        command
            .args(&options.arguments)
            .envs(options.environment.iter().cloned());
        Ok(command)
    }
}
