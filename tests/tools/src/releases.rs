//! Builds the hosts of earlier releases, each from its own commit, with the components of that commit.
//!
//! `target/releases/<version>/<debug or release>` holds `tidegate` and the name of the `commit` that it was built
//! from; the binary is moved in last. An old tree is built in a folder of its own, which begins with links to the
//! compiled dependencies of this workspace: common dependencies are not compiled again. The two never write to the
//! same folder, because cargo treats packages with the same name, version and place in their workspace as
//! identical.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use support::{
    mongod::{target_directory, workspace},
    release::{self, Profile, Release},
};

use crate::{
    build::succeed,
    components::{self, Tree},
    features,
};

/// Builds the releases at which upgrade suites begin: the previous release, and the releases that tests name.
pub(crate) fn for_tests() -> Result<()> {
    let mut releases = vec![release::previous()?];
    for version in release::NAMED_BY_TESTS {
        releases.push(Release::of(version)?);
    }
    releases
        .iter()
        .try_for_each(|release| build(release, Profile::Dev))
}

/// Builds the release of that version, or all releases older than this one.
pub(crate) fn run(version: Option<&str>, profile: Profile) -> Result<()> {
    let releases = match version {
        Some(version) => vec![Release::of(version)?],
        None => release::earlier()?,
    };
    for release in releases {
        build(&release, profile)?;
        println!("{}", release.binary(profile)?.display());
    }
    Ok(())
}

/// Builds the release's host, unless it is there.
pub(crate) fn build(release: &Release, profile: Profile) -> Result<()> {
    if release.is_built(profile) {
        return Ok(());
    }
    eprintln!("building release {}", release.version);
    let begun = Instant::now();
    let folder = std::path::absolute(release.folder(profile))?;
    let work = folder.with_extension("work");
    remove(&work)?;
    let target = work.join("target");
    unpack(release, &work)?;
    let members = components::members(&work)?;
    link_dependencies(&std::path::absolute(target_directory())?, &target, &members)?;
    let tree = Tree::at(&work, &target, &profiles(&work, &members)?);
    let failed = || format!("build release {}", release.version);
    features::add(&work, &tree).with_context(failed)?;
    tree.build().with_context(failed)?;
    let mut host = tree.command();
    host.args(["build", "--locked", "--package", "tidegate"]);
    // Built together with these, the host's dependencies have all features of this workspace.
    host.args(["--package", harness(&members)?]);
    host.args(["--package", features::PACKAGE]);
    if profile == Profile::Release {
        host.arg("--release");
    }
    succeed(&mut host).with_context(failed)?;

    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    fs::write(folder.join("commit"), &release.commit)?;
    let built = target.join(profile.folder()).join("tidegate");
    fs::rename(&built, folder.join("tidegate"))
        .with_context(|| format!("no {} was built", built.display()))?;
    remove(&work)?;
    eprintln!(
        "release {} is built after {} s",
        release.version,
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// The package of an earlier release's tree that has the harness, by its names over time, the latest first.
fn harness(members: &BTreeSet<String>) -> Result<&'static str> {
    let names = ["tidegate-tools", "tools", "xtask"];
    let found = names.into_iter().find(|name| members.contains(*name));
    found.context("the tree has no package with the harness")
}

/// A file with this workspace's profiles for the build of an old tree: dependencies that it compiled otherwise
/// would all be compiled again.
fn profiles(work: &Path, members: &BTreeSet<String>) -> Result<PathBuf> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).context("read Cargo.toml")?;
    let mut manifest: toml::Table = toml::from_str(&manifest).context("read Cargo.toml")?;
    let mut profiles = manifest
        .remove("profile")
        .context("Cargo.toml has no profiles")?;
    let packages = profiles
        .get_mut("dev")
        .and_then(|dev| dev.get_mut("package"));
    if let Some(packages) = packages.and_then(toml::Value::as_table_mut) {
        use_names_of(packages, members);
    }
    let profiles = toml::Table::from_iter([("profile".to_owned(), profiles)]);
    let path = work.join("profiles.toml");
    fs::write(&path, toml::to_string(&profiles)?).context("write the profiles")?;
    Ok(path)
}

/// Takes the prefix off the names of packages that a tree has without it: releases up to 0.3.1.
fn use_names_of(packages: &mut toml::Table, members: &BTreeSet<String>) {
    let rename = |(name, profile): (String, toml::Value)| {
        let short = name.strip_prefix("tidegate-");
        let short = short.filter(|short| members.contains(*short));
        (short.map(str::to_owned).unwrap_or(name), profile)
    };
    *packages = std::mem::take(packages).into_iter().map(rename).collect();
}

/// Writes the sources of a release into a folder.
pub(crate) fn unpack(release: &Release, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mut archive = Command::new("git")
        .args(["archive", "--format=tar", &release.commit])
        .current_dir(workspace())
        .stdout(Stdio::piped())
        .spawn()
        .context("run git")?;
    let sources = archive.stdout.take().context("git has an output")?;
    let unpacked = Command::new("tar")
        .args(["--extract", "--file=-"])
        .current_dir(folder)
        .stdin(sources)
        .status()
        .context("run tar")?;
    let archived = archive.wait().context("wait for git")?;
    ensure!(
        archived.success() && unpacked.success(),
        "the sources of release {} cannot be had: is commit {} in this clone, and the clone not a shallow one?",
        release.version,
        release.commit
    );
    Ok(())
}

/// The folders of a target directory in which cargo keeps compiled artifacts.
const COMPILED: [&str; 4] = [
    "debug",
    "release",
    "component",
    "wasm32-unknown-unknown/component",
];

/// Links the compiled dependencies of a target directory into another target directory, that of a tree with these
/// packages. Packages of either workspace are excluded, and so are packages of this workspace under their earlier
/// names.
fn link_dependencies(from: &Path, to: &Path, members: &BTreeSet<String>) -> Result<()> {
    let ours = components::members(&workspace())?;
    for profile in COMPILED {
        let (from, to) = (from.join(profile), to.join(profile));
        let mut hashes = HashSet::new();
        for entry in entries(&from.join(".fingerprint"))? {
            let Some((package, hash)) = split_hash(&entry) else {
                continue;
            };
            if ours.contains(package) || members.contains(package) {
                continue;
            }
            hashes.insert(hash.to_owned());
            // Small files that cargo writes in place: copied instead of linked.
            copy(&from, &to, &Path::new(".fingerprint").join(&entry))?;
        }
        for folder in ["build", "deps"] {
            for entry in entries(&from.join(folder))? {
                if split_hash(&entry).is_some_and(|(_, hash)| hashes.contains(hash)) {
                    link(&from, &to, &Path::new(folder).join(&entry))?;
                }
            }
        }
    }
    Ok(())
}

/// Name and hash of `name-hash` or `name-hash.extension`.
fn split_hash(entry: &str) -> Option<(&str, &str)> {
    let (name, hash) = entry.rsplit_once('-')?;
    Some((name, hash.split('.').next().unwrap_or(hash)))
}

/// Links a file, or the files of a folder.
fn link(from: &Path, to: &Path, path: &Path) -> Result<()> {
    each_file(from, to, path, &|from, to| fs::hard_link(from, to))
}

/// Copies a file, or the files of a folder, with their times: cargo compares them.
fn copy(from: &Path, to: &Path, path: &Path) -> Result<()> {
    each_file(from, to, path, &|from, to| {
        fs::copy(from, to)?;
        let modified = fs::metadata(from)?.modified()?;
        fs::File::options()
            .write(true)
            .open(to)?
            .set_modified(modified)
    })
}

fn each_file(
    from: &Path,
    to: &Path,
    path: &Path,
    give: &dyn Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<()> {
    let (source, target) = (from.join(path), to.join(path));
    if source.is_dir() {
        fs::create_dir_all(&target).with_context(|| format!("create {}", target.display()))?;
        for entry in entries(&source)? {
            each_file(from, to, &path.join(entry), give)?;
        }
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    give(&source, &target).with_context(|| format!("give {}", source.display()))
}

/// The names in a folder; none if it is missing.
fn entries(folder: &Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn remove(folder: &PathBuf) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}
