//! All tests: unit tests next to the code, and the suites on real clusters.

use anyhow::Result;
use support::{mongod, release::Profile};

use crate::{
    build::{self, command, has_subcommand, succeed},
    languages, releases,
};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    // Found or downloaded once, before the suites ask for it all at a time.
    eprintln!("mongod: {}", mongod::obtain()?.display());
    build::all(Profile::Dev)?;
    releases::for_tests()?;
    languages::build()?;
    let nextest = has_subcommand("nextest");
    let runner: &[&str] = if nextest {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    // An error's chain says where it comes from; a stack of futures does not.
    succeed(
        command()
            .args(runner)
            .args(["--workspace", "--locked"])
            .args(arguments)
            .env("RUST_BACKTRACE", "0"),
    )?;
    if nextest && arguments.is_empty() {
        // The tests that nextest does not run: the examples in the documentation.
        succeed(command().args(["test", "--workspace", "--locked", "--doc"]))?;
    }
    Ok(())
}
