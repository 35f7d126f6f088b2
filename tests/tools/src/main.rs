//! The tasks of `cargo xtask`: everything that is done to this workspace, each doing all its own set-up.
//! `cargo xtask` itself (`tests/xtask`) builds this program and runs it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]

mod applications;
mod bench;
mod browser;
mod build;
mod capture;
mod check;
mod client;
mod clusters;
mod components;
mod demo;
mod failovers;
mod faults;
mod features;
mod languages;
mod package;
mod paths;
mod releases;
mod schema;
mod servers;
mod test;
mod upgrade_matrix;
mod versions;
mod wit;

use anyhow::Result;
use clap::{Parser, Subcommand};
use support::release::Profile;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, demo, tests and benchmarks of tidegate"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the components and the host
    Build {
        #[arg(long)]
        release: bool,
    },
    /// Formatting, lints with warnings denied, dependency rules, docs
    Check,
    /// All tests, on real clusters; arguments go to the test runner
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Two migrations from start to commit: killed and upgraded in the middle; verified, write-blocked and reversed
    Demo(demo::Options),
    /// A migration by clicks in the console, in chromium: started, repaired, swapped, committed
    Browser(browser::Options),
    /// Speed and memory against a floor measured in the same run
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Build the hosts of earlier releases, from their commits
    Release {
        /// A version of tests/releases.toml; all versions older than this one if absent
        version: Option<String>,
        #[arg(long)]
        release: bool,
    },
    /// Write the persisted state of a release in each phase to tests/fixtures/metadata
    CaptureMetadata {
        /// A version of tests/releases.toml
        version: String,
    },
    /// Upgrade every earlier release to this build, in every phase of a sync
    UpgradeMatrix(upgrade_matrix::Options),
    /// Every fault at every command of the hosts, in a scripted sync
    Faults(faults::Options),
    /// Syncs between sets of three members while these step down, are killed, parted, rolled back, slow or away
    Failovers(failovers::Options),
    /// Debian package, container image, Helm chart, list of components and checksums of this commit, in target/packages
    Package(package::Options),
    /// Requests that schemathesis (from PyPI) derives from the OpenAPI document, against real hosts
    Schema(schema::Options),
    /// Syncs from and to other versions of the server, which are downloaded
    Servers(servers::Options),
    /// A client in Python, generated from the OpenAPI document (by a generator from PyPI), drives a sync from start to commit
    Client,
    /// Applications on pymongo, the Node driver and mongoose (from PyPI and npm) work before, while and after their cluster is synced
    Applications(applications::Options),
    /// Filters in Python, JavaScript, Go and C, with tools from PyPI and npm, where they are not built yet
    Languages,
    /// Freeze the released folders of wit/ that are not frozen yet
    FreezeWit,
    /// Start two replica sets, print their URIs and keep them until ctrl-c
    Clusters(clusters::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Build { release } => build::all(Profile::of(release)),
        Task::Check => check::run(),
        Task::Release { version, release } => {
            releases::run(version.as_deref(), Profile::of(release))
        }
        Task::CaptureMetadata { version } => capture::run(&version),
        Task::UpgradeMatrix(options) => upgrade_matrix::run(&options),
        Task::Faults(options) => faults::run(&options),
        Task::Failovers(options) => failovers::run(&options),
        Task::Package(options) => package::run(&options),
        Task::Schema(options) => schema::run(&options),
        Task::Servers(options) => servers::run(&options),
        Task::Client => client::run(),
        Task::Applications(options) => applications::run(&options),
        Task::Languages => languages::run(),
        Task::FreezeWit => wit::freeze(),
        Task::Test { arguments } => test::run(&arguments),
        Task::Demo(options) => demo::run(&options),
        Task::Browser(options) => browser::run(&options),
        Task::Bench { bench } => bench::run(&bench),
        Task::Clusters(options) => clusters::run(&options),
    }
}

/// Runs a task that speaks to clusters.
fn block_on<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(task)
}
