//! The Debian package: an archive of `ar` with two tars. `dpkg-deb` is not needed.

use std::path::Path;

use anyhow::Result;

use crate::Release;
use crate::archive::{ar, gzip, tar};
use crate::elf::Elf;
use crate::installation::Files;
use crate::tree::Tree;

/// Configuration files: dpkg keeps an operator's changes.
const NEEDRESTART: &str = "etc/needrestart/conf.d/tidegate.conf";

/// Scripts of the package, in `deploy/debian`.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

pub(crate) fn build(release: &Release, files: &Files) -> Result<Vec<u8>> {
    let tree = installed(release, files)?;
    let mut data = tar(&tree, "./", release.epoch)?;
    data = gzip(&data, release.compression())?;
    let control = control(release, files, &tree)?;
    let control = gzip(&tar(&control, "./", release.epoch)?, release.compression())?;
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", control),
        ("data.tar.gz", data),
    ];
    Ok(ar(&members, release.epoch))
}

fn installed(release: &Release, files: &Files) -> Result<Tree> {
    let mut tree = files.help.clone();
    files.legal(&mut tree);
    tree.file("usr/bin/tidegate", 0o755, files.binary.clone());
    tree.directory("etc/tidegate", 0o750, 0);
    for (source, path) in [
        (
            "systemd/tidegate@.service",
            "usr/lib/systemd/system/tidegate@.service",
        ),
        (
            "systemd/tidegate.sysusers",
            "usr/lib/sysusers.d/tidegate.conf",
        ),
        ("debian/needrestart.conf", NEEDRESTART),
    ] {
        tree.file(path, 0o644, release.read(&format!("deploy/{source}"))?);
    }
    Ok(tree)
}

fn control(release: &Release, files: &Files, tree: &Tree) -> Result<Tree> {
    let mut control = Tree::default();
    control.file("control", 0o644, fields(release, files, tree)?);
    control.file("conffiles", 0o644, format!("/{NEEDRESTART}\n"));
    for script in SCRIPTS {
        let bytes = release.read(&format!("deploy/debian/{script}"))?;
        control.file(script, 0o755, bytes);
    }
    Ok(control)
}

fn fields(release: &Release, files: &Files, tree: &Tree) -> Result<String> {
    let kilobytes: usize = tree
        .files()
        .map(|(_, bytes)| bytes.len().div_ceil(1024))
        .sum();
    let elf = Elf::read(Path::new("tidegate"), &files.binary)?;
    let glibc = elf.newest_glibc().unwrap_or((2, 17));
    Ok(format!(
        "Package: tidegate\n\
         Version: {}\n\
         Architecture: amd64\n\
         Maintainer: tidegate maintainers <tidegate@localhost>\n\
         Installed-Size: {kilobytes}\n\
         Depends: libc6 (>= {}.{}), libgcc-s1 (>= 4.2), systemd | systemd-standalone-sysusers | systemd-sysusers\n\
         Recommends: ca-certificates\n\
         Section: database\n\
         Priority: optional\n\
         Description: live sync of a MongoDB replica set into another\n \
         tidegate copies a live MongoDB replica set into another, keeps the two in step,\n \
         and ends with a cutover. An upgrade of this package restarts no running sync.\n",
        release.version, glibc.0, glibc.1
    ))
}
