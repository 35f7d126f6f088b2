//! `cargo xtask`: everything that is done to this workspace, each command doing
//! all its own set-up.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]

mod bench;
mod build;
mod check;
mod clusters;
mod components;
mod demo;
mod languages;
mod paths;
mod test;
mod wit;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
    /// A migration from start to commit, with a kill -9 in the middle
    Demo(demo::Options),
    /// Speed and memory against a floor measured in the same run
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Freeze the released folders of wit/ that are not frozen yet
    FreezeWit,
    /// Start two replica sets, print their URIs and keep them until ctrl-c
    Clusters,
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Build { release } => build::all(build::Profile::of(release)),
        Task::Check => check::run(),
        Task::FreezeWit => wit::freeze(),
        Task::Test { arguments } => test::run(&arguments),
        Task::Demo(options) => demo::run(&options),
        Task::Bench { bench } => bench::run(&bench),
        Task::Clusters => clusters::run(),
    }
}

/// Runs a task that speaks to clusters.
fn block_on<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(task)
}
