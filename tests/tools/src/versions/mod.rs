//! A component counts its version up when its code has changed since the release before.
//!
//! Compared are the sources that a component is built from, with those of the newest release in `tests/releases.toml`: the
//! component's own package, and of the libraries beside it (SDK, raw-bson, pcre) everything but the public modules that it does
//! not use. Comments, tests, imports, visibility, and where code stands do not count, and neither do names that the code
//! defines itself, unless they are read from a configuration. WIT files need no comparison: released folders never change, and the SDK's code names the folder.
//! Dependencies from registries are not compared: an update that matters is a reason to count up by hand.

mod code;
mod source;
mod tokens;

use std::fs;

use anyhow::{Context, Result, ensure};
use semver::Version;
use support::{
    mongod::{target_directory, workspace},
    release,
};

use crate::releases;
use code::first_difference;
use source::{Component, components};

/// Fails if a component has other code than in the release before, and the same version.
pub(crate) fn check() -> Result<()> {
    let release = release::all()?;
    let release = release.last().context("tests/releases.toml is empty")?;
    let folder = target_directory().join("versions");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    releases::unpack(release, &folder)?;
    let before = components(&folder).context("read the release before")?;
    let mut wrong = Vec::new();
    for component in components(&workspace())? {
        let before = before.iter().find(|before| before.name == component.name);
        wrong.extend(before.and_then(|before| fault(before, &component)));
    }
    ensure!(
        wrong.is_empty(),
        "compared with release {}:\n{}",
        release.version,
        wrong.join("\n")
    );
    Ok(())
}

/// What is wrong with a component's version.
fn fault(before: &Component, now: &Component) -> Option<String> {
    let Component { name, version, .. } = now;
    if *version < before.version {
        return Some(format!(
            "{name} went back from {} to {version}",
            before.version
        ));
    }
    if *version > before.version {
        return None;
    }
    let difference = first_difference(&before.code, &now.code)?;
    let next = Version::new(version.major, version.minor, version.patch + 1);
    Some(format!(
        "{name} has other code and the same version, {version}: give it {next} in plugins/{name}/Cargo.toml. {difference}"
    ))
}

#[cfg(test)]
mod tests;
