//! All tests: unit tests beside the code and the suites on real clusters.

use anyhow::Result;
use support::{mongod, release::Profile};

use crate::{
    build::{self, command, has_subcommand, succeed},
    languages, releases,
};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    set_up()?;
    languages::build()?;
    let nextest = has_subcommand("nextest");
    let runner: &[&str] = if nextest {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    suites(runner, arguments)?;
    if nextest && arguments.is_empty() {
        // What nextest does not run: the examples in the documentation.
        succeed(command().args(["test", "--workspace", "--locked", "--doc"]))?;
    }
    Ok(())
}

/// The suites that begin with the previous release. Apart, since it has to be built.
pub(crate) fn upgrades() -> Result<()> {
    set_up()?;
    releases::previous()?;
    let suites = ["--test", "upgrade", "--test", "live_upgrade"];
    let ignored = ["--", "--ignored", "--test-threads", "2"];
    self::suites(&["test"], &[&suites[..], &ignored[..]].concat())
}

fn set_up() -> Result<()> {
    // Found or downloaded once, before the suites ask for it all at a time.
    eprintln!("mongod: {}", mongod::obtain()?.display());
    build::all(Profile::Dev)
}

fn suites(runner: &[&str], arguments: &[impl AsRef<std::ffi::OsStr>]) -> Result<()> {
    succeed(
        command()
            .args(runner)
            .args(["--workspace", "--locked"])
            .args(arguments)
            // An error's chain says where it comes from; a stack of futures does not.
            .env("RUST_BACKTRACE", "0"),
    )
}
