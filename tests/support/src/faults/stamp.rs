//! Builds of the guest `stamp`: versions of a plugin with the same answers.

use anyhow::{Context, Result};

use crate::mongod::target_directory;

/// The text in the guest's bytes before its version, semantics, stamp and manner.
const MARK: &[u8] = b"#STAMP-BUILD#";

/// A build with this version, which stamps documents so.
pub(super) fn build(version: &str, stamp: &str) -> Result<Vec<u8>> {
    let file = target_directory().join("guests").join("stamp.wasm");
    let mut bytes = std::fs::read(&file)
        .with_context(|| format!("read {}: run `cargo xtask build` once", file.display()))?;
    let at = bytes.windows(MARK.len()).position(|window| window == MARK);
    let at = at.context("the mark of the guest `stamp`")? + MARK.len();
    let build = format!("{version:10}1{stamp:12}keep");
    let place = bytes.get_mut(at..at + build.len()).context("its build")?;
    place.copy_from_slice(build.as_bytes());
    Ok(bytes)
}
