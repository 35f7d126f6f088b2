//! All tests: unit tests beside the code and the suites on real clusters.

use anyhow::Result;
use support::mongod;

use crate::build::{self, Profile, cargo, has_subcommand};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    // Found or downloaded once, before the suites ask for it all at a time.
    eprintln!("mongod: {}", mongod::obtain()?.display());
    build::all(Profile::Dev)?;
    let mut command = match has_subcommand("nextest") {
        true => vec!["nextest", "run", "--workspace", "--locked"],
        false => vec!["test", "--workspace", "--locked"],
    };
    command.extend(arguments.iter().map(String::as_str));
    cargo(&command)?;
    if arguments.is_empty() && has_subcommand("nextest") {
        // What nextest does not run: the examples in the documentation.
        cargo(&["test", "--workspace", "--locked", "--doc"])?;
    }
    Ok(())
}
