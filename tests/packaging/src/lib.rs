//! The packages of a release: a Debian package, a container image, a Helm chart, a list of components, and checksums.
//!
//! Invariant: the bytes of a package are a function of the binary, the workspace and the time of the commit. So files
//! are sorted, owned by root and dated by the commit, and no tool of the machine packs them.

mod archive;
mod auditable;
mod chart;
mod deb;
mod elf;
mod image;
mod installation;
mod licences;
mod sbom;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use sha2::{Digest, Sha256};

pub use archive::unpack_ar;
pub use auditable::dependencies;

/// The input of every package.
#[derive(Clone, Debug)]
pub struct Release {
    /// The root of the workspace: documents, unit files, the lock file.
    pub workspace: PathBuf,
    /// The host's binary, without debug information.
    pub binary: PathBuf,
    pub version: String,
    /// The commit that the binary is built from.
    pub commit: String,
    /// Seconds since 1970 of every file in a package: the time of the commit.
    pub epoch: u64,
    /// 0 to 9; tests take 1.
    pub compression: u32,
}

impl Release {
    /// The release of the workspace's commit. `SOURCE_DATE_EPOCH` overrides the commit's time.
    ///
    /// # Errors
    /// `git` is missing, or the workspace is no clone.
    pub fn of_commit(workspace: &Path, binary: &Path) -> Result<Self> {
        let commit = git(workspace, &["rev-parse", "HEAD"])?;
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_unset) => git(workspace, &["show", "-s", "--format=%ct", "HEAD"])?,
        };
        Ok(Self {
            workspace: workspace.to_owned(),
            binary: binary.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            epoch: epoch.parse().context("the time of the commit")?,
            compression: Compression::best().level(),
        })
    }

    fn compression(&self) -> Compression {
        Compression::new(self.compression)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        fs::read(self.workspace.join(path)).with_context(|| format!("read {path}"))
    }
}

/// Builds every package into `out`, and returns their names.
///
/// # Errors
/// An input that cannot be read, or a file that cannot be written.
pub fn build(release: &Release, out: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    let version = &release.version;
    let graph = sbom::Graph::read(&release.workspace)?;
    let licences = licences::collect(&graph)?;
    let files = installation::Files::collect(release, licences)?;
    auditable::compare(&files.binary, &graph.names())?;
    let packages = [
        (
            format!("tidegate_{version}_amd64.deb"),
            deb::build(release, &files)?,
        ),
        (
            format!("tidegate-{version}.image.tar"),
            image::build(release, &files)?,
        ),
        (
            format!("tidegate-{version}.chart.tgz"),
            chart::build(release)?,
        ),
        (
            format!("tidegate-{version}.cdx.json"),
            sbom::build(release, &graph)?,
        ),
    ];
    let mut sums = String::new();
    for (name, bytes) in &packages {
        write(&out.join(name), bytes)?;
        sums.push_str(&format!("{}  {name}\n", sha256(bytes)));
    }
    write(&out.join("SHA256SUMS"), sums.as_bytes())?;
    Ok(packages.into_iter().map(|(name, _)| name).collect())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

/// A SHA-256, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git(workspace: &Path, arguments: &[&str]) -> Result<String> {
    output(Command::new("git").arg("-C").arg(workspace).args(arguments))
}

/// Standard output of a program that succeeds, without blanks at its ends.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", errors.trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
