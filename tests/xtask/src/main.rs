//! `cargo xtask`: announces and builds the tasks (`tests/tools`), then becomes the requested task.
//!
//! It has no dependencies and is built in seconds. The tasks are built with all dependencies of the host, so that
//! no dependency is compiled twice.

#![expect(
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the tasks and becomes the requested task.
fn run(arguments: &[OsString]) -> Result<std::convert::Infallible, String> {
    let folder = if wants_release(arguments) {
        "release"
    } else {
        "debug"
    };
    if !has(arguments, "--no-build") && !has(arguments, "--help") {
        build(folder)?;
    }
    let tools = target().join(folder).join("tidegate-tools");
    let error = Command::new(&tools).args(arguments).exec();
    Err(format!("{} cannot be run: {error}", tools.display()))
}

fn build(folder: &str) -> Result<(), String> {
    eprintln!(
        "xtask: building the tasks and all that the host depends on ({folder}). The first time takes some minutes; \
         afterwards there is nothing to do."
    );
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args([
        "build",
        "--locked",
        "--package",
        "tidegate-tools",
        "--package",
        "tidegate-dependencies",
    ]);
    if folder == "release" {
        cargo.arg("--release");
    }
    // Removes the variables by which cargo describes this package: build scripts that read them would run again.
    for (name, _) in env::vars_os() {
        let shown = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|ours| shown.starts_with(ours))
        {
            cargo.env_remove(&name);
        }
    }
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the build failed: {status}")),
        Err(error) => Err(format!("cargo cannot be run: {error}")),
    }
}

/// Benchmarks run release builds, and `build --release` requests a release build.
fn wants_release(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .is_some_and(|task| task == "bench" || (task == "build" && has(arguments, "--release")))
}

fn has(arguments: &[OsString], flag: &str) -> bool {
    arguments.iter().any(|argument| argument == flag)
}

fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_and_release_builds_are_the_only_ones_in_the_release_profile() {
        let wants = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            wants_release(&arguments)
        };
        for line in ["bench copy --json", "build --release"] {
            assert!(wants(line), "{line}");
        }
        for line in [
            "build",
            "demo",
            "test --release",
            "release 0.3.0 --release",
            "",
        ] {
            assert!(!wants(line), "{line}");
        }
    }
}
