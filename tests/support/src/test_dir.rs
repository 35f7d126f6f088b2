//! The directory of a test: removed after success, kept after a failure.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

pub struct TestDir {
    dir: TempDir,
    keep: bool,
}

impl TestDir {
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("tidegate-").tempdir();
        let mut dir = dir.context("create a test directory")?;
        dir.disable_cleanup(true);
        Ok(Self { dir, keep: true })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A directory inside, created.
    pub fn subdirectory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(path)
    }

    /// The test passed: the directory goes.
    pub fn remove(mut self) {
        self.keep = false;
        self.dir.disable_cleanup(false);
    }
}

impl Drop for TestDir {
    #[expect(
        clippy::print_stderr,
        reason = "a failed test says where its files are"
    )]
    fn drop(&mut self) {
        if self.keep {
            eprintln!(
                "the test did not pass; its files are in {}",
                self.path().display()
            );
        }
    }
}
