//! The Debian package, installed into a folder: dpkg runs its scripts with `DPKG_ROOT`, without chroot.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{Packages, is_installed, printed};

/// Files that each installation has.
const FILES: [&str; 9] = [
    "usr/bin/tidegate",
    "usr/lib/systemd/system/tidegate@.service",
    "usr/lib/sysusers.d/tidegate.conf",
    "usr/share/man/man1/tidegate-plan.1.gz",
    "usr/share/bash-completion/completions/tidegate",
    "usr/share/doc/tidegate/copyright",
    "usr/share/doc/tidegate/dependencies.txt.gz",
    "usr/share/doc/tidegate/examples/example.yaml",
    "etc/needrestart/conf.d/tidegate.conf",
];

pub(crate) fn installs_upgrades_and_purges(packages: &Packages) -> Result<()> {
    if !is_installed("dpkg") || !is_installed("systemd-sysusers") {
        return Ok(());
    }
    let root = packages.dir.subdirectory("debian")?;
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        fs::write(root.join(file), "")?;
    }
    let package = packages.path(".deb")?;
    let package = package.to_string_lossy();

    let said = dpkg(&root, &["--install", &package])?;
    ensure!(!said.contains("restart"), "a first installation: {said}");
    for file in FILES {
        ensure!(root.join(file).is_file(), "{file} is missing");
    }
    let version = printed(Command::new(root.join("usr/bin/tidegate")).arg("--version"))?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let users = fs::read_to_string(root.join("etc/passwd"))?;
    ensure!(users.contains("tidegate:"), "{users}");

    let own = root.join("etc/tidegate/orders.yaml");
    fs::write(&own, "port: 27190\n")?;
    let said = dpkg(&root, &["--install", &package])?;
    ensure!(
        said.contains("running syncs still run"),
        "an upgrade: {said}"
    );
    ensure!(
        fs::read_to_string(&own)? == "port: 27190\n",
        "the operator's file"
    );

    dpkg(&root, &["--purge", "tidegate"])?;
    for file in FILES.into_iter().chain(["etc/tidegate"]) {
        ensure!(!root.join(file).exists(), "{file} is left");
    }
    Ok(())
}

/// Another user than root is root in a namespace of its own.
fn dpkg(root: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = if fs::metadata("/proc/self")?.is_root() {
        Command::new("dpkg")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "dpkg"]);
        command
    };
    command.arg(format!("--root={}", root.display()));
    command.args([
        "--force-not-root",
        "--force-script-chrootless",
        "--force-depends",
    ]);
    printed(command.args(arguments))
}

trait Owner {
    fn is_root(&self) -> bool;
}

impl Owner for fs::Metadata {
    fn is_root(&self) -> bool {
        std::os::unix::fs::MetadataExt::uid(self) == 0
    }
}
