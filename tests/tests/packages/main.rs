//! The packages: each is built from the binary beside this test, installed and looked at.

#![expect(
    clippy::indexing_slicing,
    reason = "a missing field of an answer is null, and fails the comparison"
)]

mod chart;
mod command_line;
mod debian;
mod image;
mod reproducible;
mod sbom;
mod unit;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use packaging::Release;
use support::{host::binary, mongod::workspace, test_dir::TestDir};

/// Packages in a folder of a test.
struct Packages {
    dir: TestDir,
    folder: PathBuf,
}

impl Packages {
    /// Builds all packages of the host's binary, compressed for speed.
    fn build() -> Result<Self> {
        let dir = TestDir::new()?;
        let small = dir.path().join("tidegate");
        if is_installed("strip") {
            printed(Command::new("strip").arg("-o").arg(&small).arg(binary()?))?;
        } else {
            std::fs::copy(binary()?, &small)?;
        }
        let folder = dir.path().join("packages");
        packaging::build(&release(&small)?, &folder)?;
        Ok(Self { dir, folder })
    }

    /// The package whose name ends so.
    fn path(&self, end: &str) -> Result<PathBuf> {
        let entries = self.folder.read_dir()?.filter_map(Result::ok);
        let mut paths = entries.map(|entry| entry.path());
        let path = paths.find(|path| path.to_string_lossy().ends_with(end));
        path.with_context(|| format!("no package {end}"))
    }
}

fn release(binary: &Path) -> Result<Release> {
    let mut release = Release::of_commit(&workspace(), binary)?;
    release.compression = 1;
    Ok(release)
}

/// Runs a program to its end, and returns its output where it succeeds.
fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

/// Both in one test: packing takes longest.
#[test]
fn the_debian_package_and_the_image_run_and_leave_nothing() -> Result<()> {
    let packages = Packages::build()?;
    sums_are_right(&packages)?;
    debian::installs_upgrades_and_purges(&packages)?;
    image::holds_all_that_the_binary_needs(&packages)?;
    packages.dir.remove();
    Ok(())
}

fn sums_are_right(packages: &Packages) -> Result<()> {
    let mut check = Command::new("sha256sum");
    let check = check
        .current_dir(&packages.folder)
        .args(["--check", "SHA256SUMS"]);
    let lines = printed(check)?;
    ensure!(lines.lines().count() == 4, "{lines}");
    Ok(())
}
