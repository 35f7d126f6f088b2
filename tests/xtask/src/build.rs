//! Builds of components and host, and how cargo is run from here.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::{mongod::workspace, release::Profile};

use crate::components;

/// The components first: the host embeds them.
pub(crate) fn all(profile: Profile) -> Result<()> {
    components::build()?;
    let mut arguments = vec!["build", "--locked", "--package", "tidegate"];
    if profile == Profile::Release {
        arguments.push("--release");
    }
    cargo(&arguments)
}

/// Runs cargo in the workspace, its output shown; fails if it fails.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    succeed(command().args(arguments))
}

/// The cargo that runs this task.
pub(crate) fn command() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace());
    forget_this_package(&mut command);
    command
}

/// What cargo tells this task of its own package is not for others: build scripts that
/// look at it would run again, and what depends on them be compiled again.
pub(crate) fn forget_this_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|ours| shown.starts_with(ours))
        {
            command.env_remove(&name);
        }
    }
}

/// Shows the command, runs it, and fails if it fails. Standard output is left to
/// the task's own result.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let arguments: Vec<_> = command
        .get_args()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let program = command.get_program().to_string_lossy().into_owned();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    eprintln!("$ {program} {}", arguments.join(" "));
    let status = command.stdout(std::io::stderr()).status();
    let status = status.with_context(|| format!("run {program}"))?;
    ensure!(
        status.success(),
        "`{program} {}` failed: {status}",
        arguments.join(" ")
    );
    Ok(())
}

/// True if cargo has this subcommand.
pub(crate) fn has_subcommand(name: &str) -> bool {
    command()
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
