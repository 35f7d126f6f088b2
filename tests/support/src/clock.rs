//! Hosts and servers whose wall clock is wrong, by libfaketime. Their monotonic clock stays
//! right, as it does where an operator or a bad time server sets a machine's clock.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{TestDir, package};

/// The package, as Debian and Ubuntu name it.
const PACKAGE: &str = "libfaketime";
const LIBRARY: &str = "usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// A clock that can be set while processes look at it.
pub struct WrongClock {
    directory: TestDir,
    library: PathBuf,
}

impl WrongClock {
    /// A clock with an offset such as `+1h`.
    pub fn by(offset: &str) -> Result<Self> {
        let clock = Self {
            directory: TestDir::new()?,
            library: package::file_of(PACKAGE, LIBRARY)?,
        };
        clock.set(offset)?;
        Ok(clock)
    }

    /// Within a second it is off by this.
    pub fn set(&self, offset: &str) -> Result<()> {
        // No process may read a file that is half written.
        let new = self.directory.path().join("new");
        std::fs::write(&new, offset).context("write an offset")?;
        std::fs::rename(new, self.file()).context("set a clock")
    }

    /// The environment variables that give a process this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        variables
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
    }

    pub fn remove(self) {
        self.directory.remove();
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }
}
