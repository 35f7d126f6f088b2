//! `cargo xtask package`: the packages of this commit, in `target/packages`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use packaging::{Release, sha256};
use support::mongod::{target_directory, workspace};
use support::release::Profile;

use crate::build::{command, has_subcommand, strip_debug_information, succeed};
use crate::components::{Tree, paths_of_host};

/// The options of `cargo xtask package`.
#[derive(Args)]
pub(crate) struct Options {
    /// Package this binary of tidegate as it is, and build none
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Folder of the packages [default: target/packages]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build the binary without optimization: minutes less, for a look at the packages
    #[arg(long)]
    debug: bool,
    /// Build everything twice, here and from nothing in a clone in another folder, and compare byte for byte. With --binary, only the
    /// packaging is done twice
    #[arg(long)]
    check_reproducible: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.check_reproducible {
        return check_reproducible(options);
    }
    let out = options.out.clone();
    let out = out.unwrap_or_else(|| target_directory().join("packages"));
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(Profile::of(!options.debug))?,
    };
    pack(&binary, &out)
}

fn pack(binary: &Path, out: &Path) -> Result<()> {
    let release = Release::of_commit(&workspace(), binary)?;
    for name in packaging::build(&release, out)? {
        println!("{}", out.join(name).display());
    }
    println!("{}", out.join("SHA256SUMS").display());
    Ok(())
}

/// The host alone, with the features that an operator's binary has and no path of this machine in it. So it has a target
/// directory of its own: other flags would compile every dependency of the tests again.
fn build(profile: Profile) -> Result<PathBuf> {
    let commit = git(&["rev-parse", "HEAD"])?;
    Tree::own().build()?;
    let target = std::path::absolute(target_directory().join("packaging"))?;
    let paths = paths_of_host(&target)?;
    let mut build = command();
    if has_subcommand("auditable") {
        build.arg("auditable");
    } else {
        eprintln!(
            "cargo-auditable is not installed: the binary does not hold the list of its dependencies"
        );
    }
    build.args(["build", "--locked", "--package", "tidegate"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    build.env("CARGO_TARGET_DIR", &target);
    build.env("CARGO_ENCODED_RUSTFLAGS", paths.flags());
    // Libraries in C name their files, too.
    for variable in ["CFLAGS", "CXXFLAGS"] {
        build.env(variable, paths.c_flags());
    }
    succeed(&mut build)?;
    let binary = target.join(profile.folder()).join("tidegate");
    let small = binary.with_extension("packaged");
    strip_debug_information(&binary, &small)?;
    let bytes = fs::read(&small).with_context(|| format!("read {}", small.display()))?;
    if let Some(folder) = paths.named_in(&bytes) {
        bail!("the binary names files of {folder}, which is a folder of this machine alone");
    }
    // Every package names the commit, and a build takes minutes.
    let now = git(&["rev-parse", "HEAD"])?;
    ensure!(
        now == commit,
        "the commit has changed during the build, from {commit} to {now}"
    );
    Ok(small)
}

fn check_reproducible(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir().context("create a folder for the second build")?;
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    match &options.binary {
        Some(binary) => {
            pack(binary, &first)?;
            pack(binary, &second)?;
        }
        None => {
            // A clone has the commit alone.
            refuse_changes()?;
            let binary = build(Profile::of(!options.debug))?;
            refuse_changes()?;
            pack(&binary, &first)?;
            let clone = folder.path().join("clone-in-a-folder-of-another-name");
            build_clone(&clone, &second, options.debug)?;
        }
    }
    compare(&first, &second)?;
    println!("two builds gave the same bytes");
    Ok(())
}

fn refuse_changes() -> Result<()> {
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    ensure!(changes.is_empty(), "commit these changes first:\n{changes}");
    Ok(())
}

fn git(arguments: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    let output = git.arg("-C").arg(workspace()).args(arguments).output();
    let output = output.context("run git")?;
    ensure!(output.status.success(), "git {arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Packages the commit from a clone, with the clone's own tasks.
fn build_clone(clone: &Path, out: &Path, debug: bool) -> Result<()> {
    let mut git = Command::new("git");
    succeed(git.args(["clone", "--quiet"]).arg(workspace()).arg(clone))?;
    let mut package = command();
    package.current_dir(clone).env_remove("CARGO_TARGET_DIR");
    package.args([
        "run",
        "--package",
        "tidegate-xtask",
        "--",
        "package",
        "--out",
    ]);
    package.arg(out);
    if debug {
        package.arg("--debug");
    }
    succeed(&mut package)?;
    fs::remove_dir_all(clone).with_context(|| format!("remove {}", clone.display()))
}

fn compare(first: &Path, second: &Path) -> Result<()> {
    let (names, others) = (names(first)?, names(second)?);
    ensure!(names == others, "the names differ: {names:?}, {others:?}");
    for name in names {
        let digest = |folder: &Path| Ok::<_, anyhow::Error>(sha256(&fs::read(folder.join(&name))?));
        let (digest, other) = (digest(first)?, digest(second)?);
        ensure!(digest == other, "{name} differs: {digest}, {other}");
        println!("{digest}  {name}");
    }
    Ok(())
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = folder.read_dir()?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
