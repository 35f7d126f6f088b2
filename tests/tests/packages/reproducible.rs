//! Packing has one result for the same input. `cargo xtask package --check-reproducible` compares whole builds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use support::test_dir::TestDir;

use crate::release;

/// A small program that takes any arguments, in place of the host.
const PROGRAM: &str = "/bin/true";

#[test]
fn packing_twice_gives_the_same_bytes() -> Result<()> {
    let dir = TestDir::new()?;
    let mut packed = Vec::new();
    for name in ["first", "second"] {
        // Another file with other times: only the bytes of the binary count.
        let program = dir.subdirectory(name)?.join("tidegate");
        fs::copy(PROGRAM, &program)?;
        let out = dir.path().join(format!("out-{name}"));
        packaging::build(&release(&program)?, &out)?;
        packed.push(files(&out)?);
    }
    ensure!(packed.first() == packed.last(), "two runs differ");
    ensure!(packed.first().is_some_and(|files| files.len() == 5));
    dir.remove();
    Ok(())
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = folder.read_dir()?.map(|entry| {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok((name, fs::read(entry.path())?))
    });
    entries.collect()
}

#[test]
fn the_files_of_the_debian_package_have_the_time_of_the_commit() -> Result<()> {
    let dir = TestDir::new()?;
    let mut release = release(Path::new(PROGRAM))?;
    release.epoch = 86_400;
    packaging::build(&release, dir.path())?;
    let package = dir
        .path()
        .join(format!("tidegate_{}_amd64.deb", release.version));
    let members = packaging::unpack_ar(&fs::read(package)?)?;
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
    for (name, bytes) in members.iter().skip(1) {
        let path = dir.path().join(name);
        fs::write(&path, bytes)?;
        let mut list = std::process::Command::new("tar");
        let list = list.env("TZ", "UTC").args(["-tvf"]).arg(&path);
        for line in crate::printed(list)?.lines() {
            ensure!(
                line.contains(" 0/0 ") && line.contains(" 1970-01-02 "),
                "{line}"
            );
        }
    }
    dir.remove();
    Ok(())
}
