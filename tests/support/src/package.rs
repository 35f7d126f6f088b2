//! Files of Debian's packages, for tools that tests need and that may not be installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{mongod::target_directory, process::run};

/// A file of a package: installed, or unpacked once from the package. `file` is its path without the leading slash.
pub fn file_of(package: &str, file: &str) -> Result<PathBuf> {
    let installed = Path::new("/").join(file);
    if installed.is_file() {
        return Ok(installed);
    }
    let cache = std::path::absolute(target_directory().join("packages").join(package))?;
    let name = Path::new(file).file_name().context("a path of a file")?;
    let cached = cache.join(name);
    if !cached.is_file() {
        let what = format!("install {package}");
        std::fs::create_dir_all(&cache).context("create a directory for a package")?;
        let work = tempfile::tempdir_in(&cache).context("create a directory for the download")?;
        for (program, arguments) in [
            ("apt-get", &["download", package]),
            ("sh", &["-c", "dpkg -x *.deb unpacked"]),
        ] {
            run(work.path(), program, arguments, &what)?;
        }
        let unpacked = work.path().join("unpacked").join(file);
        std::fs::rename(unpacked, &cached).context("move the file into the cache")?;
    }
    Ok(cached)
}

/// Prometheus's tool that checks metrics, rules and expressions.
pub fn promtool() -> Result<PathBuf> {
    file_of("prometheus", "usr/bin/promtool")
}
