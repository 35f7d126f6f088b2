//! The released versions of the plugin contract never change: `wit/FROZEN` has a digest of each folder, and a
//! folder with another digest fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use support::mongod::workspace;

type Digests = BTreeMap<String, String>;

/// Every folder is frozen, and as it was then.
pub(crate) fn check() -> Result<()> {
    let (frozen, found) = (frozen()?, found()?);
    for (folder, digest) in &frozen {
        ensure!(
            found.get(folder) == Some(digest),
            "wit/{folder} is not what was released: a released folder never changes, a change is a new folder"
        );
    }
    for folder in found.keys() {
        ensure!(
            frozen.contains_key(folder),
            "wit/{folder} is not in wit/FROZEN: run `cargo xtask freeze-wit` with its release"
        );
    }
    Ok(())
}

/// Freezes the folders that are not frozen yet.
pub(crate) fn freeze() -> Result<()> {
    let mut digests = found()?;
    digests.extend(frozen()?);
    let mut text = String::new();
    for (folder, digest) in digests {
        writeln!(text, "{digest}  {folder}")?;
    }
    fs::write(wit().join("FROZEN"), text).context("write wit/FROZEN")
}

fn wit() -> PathBuf {
    workspace().join("wit")
}

fn frozen() -> Result<Digests> {
    let text = fs::read_to_string(wit().join("FROZEN")).unwrap_or_default();
    text.lines()
        .map(|line| {
            let (digest, folder) = line.split_once("  ").context("a line of wit/FROZEN")?;
            Ok((folder.to_owned(), digest.to_owned()))
        })
        .collect()
}

fn found() -> Result<Digests> {
    let mut digests = Digests::new();
    for entry in fs::read_dir(wit()).context("read wit")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("since-") {
            digests.insert(name, digest(&entry.path())?);
        }
    }
    Ok(digests)
}

/// Of the names and contents of a folder's files.
fn digest(folder: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let contents = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        hash.update(format!("{name}\n{}\n", contents.len()));
        hash.update(contents);
    }
    Ok(hash
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
}
