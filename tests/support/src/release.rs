//! Earlier releases: which there are, and where their hosts are once `cargo xtask`
//! has built them.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, ensure};
use semver::Version;

use crate::mongod::{target_directory, workspace};

/// The last release whose metadata this release migrates.
pub const BEFORE_THIS_METADATA: &str = "0.4.0";

/// The last release that copies before it reads the stream.
pub const COPY_BEFORE_STREAM: &str = "0.3.2";

/// The last release whose syncs take no time-series collections.
pub const BEFORE_TIME_SERIES: &str = "0.5.0";

/// Releases that tests name, independent of the previous release: the last release without a lease, the release of
/// metadata version 2, the last release that copies before it reads the stream, the last release with the previous
/// metadata version, and the last release without time-series collections.
pub const NAMED_BY_TESTS: [&str; 5] = [
    "0.1.1",
    "0.2.0",
    COPY_BEFORE_STREAM,
    BEFORE_THIS_METADATA,
    BEFORE_TIME_SERIES,
];

/// A release that `tests/releases.toml` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub version: Version,
    /// The commit of the release.
    pub commit: String,
}

/// How a host is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// With debug assertions and named points to be killed at.
    Dev,
    /// As operators have it.
    Release,
}

impl Profile {
    pub fn of(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    /// The folder below `target` that holds such builds.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Every release so far, the oldest first.
pub fn all() -> Result<Vec<Release>> {
    let path = workspace().join("tests/releases.toml");
    let text = std::fs::read_to_string(&path).context("read tests/releases.toml")?;
    let named: BTreeMap<String, String> = toml::from_str(&text).context("tests/releases.toml")?;
    let mut releases = named
        .into_iter()
        .map(|(version, commit)| {
            let version = Version::parse(&version)
                .with_context(|| format!("`{version}` in tests/releases.toml"))?;
            Ok(Release { version, commit })
        })
        .collect::<Result<Vec<_>>>()?;
    releases.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(releases)
}

/// The releases older than the version of this workspace, oldest first.
pub fn earlier() -> Result<Vec<Release>> {
    let ours = Version::parse(env!("CARGO_PKG_VERSION")).context("this package's version")?;
    Ok(all()?
        .into_iter()
        .filter(|release| release.version < ours)
        .collect())
}

/// The newest of [`earlier`].
pub fn previous() -> Result<Release> {
    let newest = earlier()?.pop();
    newest.context("tests/releases.toml names no release older than this one")
}

impl Release {
    /// The release of that version.
    pub fn of(version: &str) -> Result<Self> {
        let found = all()?
            .into_iter()
            .find(|release| release.version.to_string() == version);
        found.with_context(|| format!("tests/releases.toml names no release {version}"))
    }

    /// False for releases that know no plugins in a start request.
    pub fn has_plugins(&self) -> bool {
        self.version >= Version::new(0, 1, 1)
    }

    /// The folder of a build, with `tidegate` and `commit`.
    pub fn folder(&self, profile: Profile) -> PathBuf {
        let releases = target_directory().join("releases");
        releases
            .join(self.version.to_string())
            .join(profile.folder())
    }

    /// True if the host is there, and built from the commit that is named now.
    pub fn is_built(&self, profile: Profile) -> bool {
        let folder = self.folder(profile);
        let commit = std::fs::read_to_string(folder.join("commit"));
        commit.is_ok_and(|commit| commit.trim() == self.commit) && folder.join("tidegate").is_file()
    }

    /// The release's host.
    pub fn binary(&self, profile: Profile) -> Result<PathBuf> {
        ensure!(
            self.is_built(profile),
            "release {} is not built: run `cargo xtask test`, or `cargo xtask release {}`",
            self.version,
            self.version
        );
        Ok(self.folder(profile).join("tidegate"))
    }
}

/// The host of a release, as tests run it.
pub fn binary(version: &str) -> Result<PathBuf> {
    Release::of(version)?.binary(Profile::Dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_release_is_the_newest_that_is_older() -> Result<()> {
        let (all, previous) = (all()?, previous()?);
        let ours = Version::parse(env!("CARGO_PKG_VERSION"))?;
        assert!(previous.version < ours);
        let between = |release: &&Release| previous.version < release.version;
        assert!(
            all.iter()
                .filter(between)
                .all(|newer| newer.version >= ours)
        );
        Ok(())
    }

    #[test]
    fn what_is_not_built_is_an_error_that_says_how() {
        let nowhere = Release {
            version: Version::new(0, 0, 1),
            commit: "0".repeat(40),
        };
        let error = nowhere.binary(Profile::Dev).expect_err("never built");
        assert!(error.to_string().contains("cargo xtask test"));
        assert!(Release::of("0.0.1").is_err());
    }
}
