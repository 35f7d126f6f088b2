//! A copy between machines: over a network that is slowed down, with each compressor.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use support::{
    Host, ReplicaSet, TestDir,
    host::{Arguments, can_commit, release_binary},
    socks::{self, SocksProxy},
};

use super::{Common, figures::Case, load::Documents, sides};

const DEADLINE: Duration = Duration::from_secs(900);
const LATENCY: Duration = Duration::from_millis(5);
/// 256 MB of 1 KiB documents.
const COUNT: u64 = 250_000;
const BYTES: usize = 1024;

/// Name of the case, and options of both connection strings.
const COMPRESSORS: [(&str, &str); 5] = [
    ("none", ""),
    ("snappy", "&compressors=snappy"),
    ("zstd", "&compressors=zstd"),
    ("zlib", "&compressors=zlib"),
    ("zlib_1", "&compressors=zlib&zlibCompressionLevel=1"),
];

#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Megabits a second, of each cluster's network in each direction
    #[arg(long, default_values_t = [100, 1000], value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    megabits: Vec<u64>,
    /// Only this compressor
    #[arg(long)]
    only: Option<String>,
}

/// The networks of the source and the destination.
struct Networks {
    source: SocksProxy,
    destination: SocksProxy,
}

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    let documents = Documents::new(COUNT / options.common.divide, BYTES);
    let bytes = documents.insert(source.client()).await?;
    let mut cases = Vec::new();
    for megabits in &options.megabits {
        for (name, compressors) in COMPRESSORS {
            if options.only.as_deref().is_none_or(|only| only == name) {
                documents.warm(source.client()).await?;
                let case = case(
                    (&directory, &source),
                    (*megabits, bytes),
                    (name, compressors),
                );
                cases.push(Box::pin(case).await?);
            }
        }
    }
    sides::remove(&directory, "source", source)?;
    directory.remove();
    Ok(cases)
}

async fn case(
    (directory, source): (&TestDir, &ReplicaSet),
    (megabits, bytes): (u64, u64),
    (name, compressors): (&'static str, &str),
) -> Result<Case> {
    let mut case = Case::new(name);
    let networks = Networks::start(megabits).await?;
    let destination = sides::destination(directory, "ours").await?;
    let uri = |set: &ReplicaSet, network: &SocksProxy| {
        format!("{}&{}{compressors}", set.uri(), network.uri_options())
    };
    let host = Host::spawn(Arguments {
        binary: release_binary(),
        cluster0: uri(source, &networks.source),
        cluster1: uri(&destination, &networks.destination),
        log_path: directory.path().join("log"),
        more: Vec::new(),
        environment: Vec::new(),
    })
    .await?;
    let servers_cpu = || source.usage().cpu_seconds() + destination.usage().cpu_seconds();
    let (cpu, of_servers) = (host.usage().cpu_seconds(), servers_cpu());
    let begun = Instant::now();
    // The verification reads both sides once more, and would hide the copy.
    host.start(json!({ "verification": { "enabled": false } }))
        .await?;
    host.wait_until("the copy is done", DEADLINE, can_commit)
        .await
        .with_context(|| format!("files are in {}", directory.path().display()))?;
    case.found("network", "Mbit/s", Some(megabits as f64));
    case.found("copied", "MB", Some(bytes as f64 / 1e6));
    case.found("copy", "s", Some(begun.elapsed().as_secs_f64()));
    case.found("host's CPU", "s", Some(host.usage().cpu_seconds() - cpu));
    case.found("both servers' CPU", "s", Some(servers_cpu() - of_servers));
    let sent = networks.source.bytes() + networks.destination.bytes();
    case.found("sent over both networks", "MB", Some(sent as f64 / 1e6));
    host.commit().await?;
    host.wait_for_state("COMMITTED").await?;
    let compared = support::compare::compare(
        source.client(),
        destination.client(),
        &|_: &str, _: &str| true,
    )
    .await?;
    case.differences(Some(compared.differences.len()));
    drop(host);
    sides::remove(directory, "ours", destination)?;
    Ok(case)
}

impl Networks {
    async fn start(megabits: u64) -> Result<Self> {
        let options = socks::Options {
            user: None,
            bytes_a_second: Some(megabits * 125_000),
            latency: LATENCY,
        };
        Ok(Self {
            source: SocksProxy::start(options.clone()).await?,
            destination: SocksProxy::start(options).await?,
        })
    }
}
