//! Checks that a component gets a new version when its code changes.
//!
//! The sources of each component are compared with those of the newest release in `tests/releases.toml`: its
//! own package and, of the libraries in this workspace (SDK, raw-bson, pcre), all private modules and the
//! public modules that it uses.
//!
//! Differences in comments, tests, imports, visibility and the place of code are ignored. So are differences in
//! names that the code defines itself, except for types read from a configuration: operators see their names.
//!
//! WIT files need no comparison: released folders never change, and the SDK's code names the folder.
//! Dependencies from registries are not compared: raise the version by hand for an update that matters.

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

/// Compares all components with the newest release.
///
/// # Errors
///
/// A component has different code and the same version, or an older version.
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

/// Describes the fault in a component's version, if there is any.
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
