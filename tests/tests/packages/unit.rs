//! The unit of systemd: `systemd-analyze` parses it, and judges its exposure.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::mongod::workspace;

use crate::{is_installed, printed};

#[test]
fn the_unit_is_hardened() -> Result<()> {
    if !is_installed("systemd-analyze") {
        return Ok(());
    }
    let unit = workspace().join("deploy/systemd/tidegate@.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold=20"]);
    let verdict = printed(analyze.arg(unit))?;
    let line = verdict
        .lines()
        .find(|line| line.contains("Overall exposure"));
    ensure!(line.context("no verdict")?.contains("OK"), "{verdict}");
    Ok(())
}
