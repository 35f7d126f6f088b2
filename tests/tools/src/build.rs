//! Builds of components and host, and how cargo is run from here.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::{
    mongod::{target_directory, workspace},
    release::Profile,
};

use crate::components::Tree;

/// The packages of every build of the host. Cargo unifies the features of packages that are built together: these
/// packages have all features of the whole workspace between them, so that tests and benchmarks find every
/// dependency compiled. The host alone has fewer features, and would compile wasmtime again.
pub(crate) const PACKAGES: [&str; 4] = ["--package", "tidegate", "--package", "tidegate-tools"];

/// The components first: the host embeds them.
pub(crate) fn all(profile: Profile) -> Result<()> {
    Tree::own().build()?;
    let mut build = command();
    build.args(["build", "--locked"]).args(PACKAGES);
    if profile == Profile::Dev {
        return succeed(&mut build);
    }
    succeed(build.arg("--release"))?;
    split_debug_information(&target_directory().join("release/tidegate"))
}

/// Copies a binary without its debug information, or as it is where no objcopy is installed.
pub(crate) fn strip_debug_information(binary: &Path, to: &Path) -> Result<()> {
    let objcopies = [toolchain_objcopy()?, Command::new("objcopy")];
    match objcopies.into_iter().find_map(usable) {
        Some(mut objcopy) => succeed(objcopy.arg("--strip-debug").arg(binary).arg(to)),
        None => {
            eprintln!("objcopy is not installed: the binary keeps its debug information");
            fs::copy(binary, to).map(drop).context("copy the binary")
        }
    }
}

/// Moves the binary's debug information into a file next to it, where debuggers look for it. Repeated after each
/// build, because cargo restores the whole binary.
fn split_debug_information(binary: &Path) -> Result<()> {
    let debug = binary.with_extension("debug");
    let small = binary.with_extension("small");
    let objcopies = [toolchain_objcopy()?, Command::new("objcopy")];
    let Some(objcopy) = objcopies.into_iter().find_map(usable) else {
        eprintln!("objcopy is not installed: the binary keeps its debug information");
        return Ok(());
    };
    let copy = |option: &OsStr, from: &Path, to: &Path| {
        succeed(again(&objcopy).arg(option).arg(from).arg(to))
    };
    copy("--only-keep-debug".as_ref(), binary, &debug)?;
    copy("--strip-debug".as_ref(), binary, &small)?;
    let mut link = OsString::from("--add-gnu-debuglink=");
    link.push(&debug);
    copy(&link, &small, &small)?;
    fs::rename(&small, binary).with_context(|| format!("replace {}", binary.display()))
}

/// The tool of rustc's own toolchain, which does not find rustc's libraries by itself.
fn toolchain_objcopy() -> Result<Command> {
    let sysroot = rustc(&["--print", "sysroot"])?;
    let libraries = rustc(&["--print", "target-libdir"])?;
    let tools = Path::new(&libraries).with_file_name("bin");
    let mut objcopy = Command::new(tools.join("rust-objcopy"));
    objcopy.env("LD_LIBRARY_PATH", Path::new(&sysroot).join("lib"));
    Ok(objcopy)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(arguments).output();
    let text = String::from_utf8(output.context("run rustc")?.stdout)?;
    Ok(text.trim().to_owned())
}

fn usable(command: Command) -> Option<Command> {
    let version = again(&command).arg("--version").output();
    version
        .is_ok_and(|output| output.status.success())
        .then_some(command)
}

/// The same program in the same environment, without arguments yet.
fn again(command: &Command) -> Command {
    let mut again = Command::new(command.get_program());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            again.env(name, value);
        }
    }
    again
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

/// Removes the variables by which cargo describes this task's package: build scripts that read them would run
/// again, and their dependents be compiled again.
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
