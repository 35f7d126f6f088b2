//! The list of dependencies that `cargo auditable` puts into a binary: JSON, compressed with zlib, in a section of its own.

use std::collections::BTreeSet;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use flate2::read::ZlibDecoder;
use object::{Object, ObjectSection, read::elf::ElfFile64};
use serde::Deserialize;

/// The name that every reader of such lists looks for.
const SECTION: &str = ".dep-v0";

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// `build` for packages that ran on the machine of the build alone.
    #[serde(default)]
    kind: Option<String>,
}

/// The packages that a binary is linked with, by name and version; `None` without a list.
///
/// # Errors
/// The file is no program, or its list is damaged.
pub fn dependencies(binary: &[u8]) -> Result<Option<BTreeSet<(String, String)>>> {
    let file: ElfFile64<'_> =
        ElfFile64::parse(binary).context("read the sections of the binary")?;
    let Some(section) = file.section_by_name(SECTION) else {
        return Ok(None);
    };
    let mut text = String::new();
    ZlibDecoder::new(section.data()?)
        .read_to_string(&mut text)
        .with_context(|| format!("unpack {SECTION}"))?;
    let list: List = serde_json::from_str(&text).with_context(|| format!("read {SECTION}"))?;
    let linked = list.packages.into_iter();
    let linked = linked.filter(|package| package.kind.as_deref() != Some("build"));
    let linked = linked.map(|package| (package.name, package.version));
    Ok(Some(linked.collect()))
}

/// Each package that the binary is linked with is among `listed`.
pub(crate) fn compare(binary: &[u8], listed: &BTreeSet<(String, String)>) -> Result<()> {
    let linked = dependencies(binary)?.unwrap_or_default();
    let missing: Vec<_> = linked.difference(listed).collect();
    ensure!(
        missing.is_empty(),
        "the binary is linked with packages that the list of components lacks: {missing:?}"
    );
    Ok(())
}
