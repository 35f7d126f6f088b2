//! The container image: its digests, and its binary in a root that holds the layer and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use packaging::sha256;
use serde_json::Value;

use crate::{Packages, is_installed, printed};

pub(crate) fn holds_all_that_the_binary_needs(packages: &Packages) -> Result<()> {
    let layout = packages.dir.subdirectory("layout")?;
    let root = packages.dir.subdirectory("root")?;
    let image = packages.path(".image.tar")?;
    unpack(&image, &layout)?;
    for blob in layout.join("blobs/sha256").read_dir()? {
        let blob = blob?;
        let digest = sha256(&fs::read(blob.path())?);
        ensure!(
            blob.file_name().to_string_lossy() == digest,
            "a blob of another digest: {blob:?}"
        );
    }

    let index = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = blob(&layout, &index, "/manifests/0")?;
    let manifest: Value = serde_json::from_slice(&fs::read(manifest)?)?;
    let config = fs::read(blob(&layout, &manifest, "/config")?)?;
    let config: Value = serde_json::from_slice(&config)?;
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/tidegate");

    unpack(&blob(&layout, &manifest, "/layers/0")?, &root)?;
    for file in ["bin/sh", "usr/bin/sh", "usr/bin/env"] {
        ensure!(!root.join(file).exists(), "{file} is in the image");
    }
    ensure!(root.join("etc/ssl/certs/ca-certificates.crt").is_file());
    let mut chroot = Command::new("unshare");
    let chroot = chroot.args(["--map-root-user", "chroot"]).arg(&root);
    let version = printed(chroot.args(["/usr/bin/tidegate", "--version"]))?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    if is_installed("skopeo") {
        let image = format!("oci-archive:{}", image.display());
        let seen = printed(Command::new("skopeo").args(["inspect", &image]))?;
        ensure!(seen.contains("org.opencontainers.image.revision"), "{seen}");
    }
    Ok(())
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    let tar = tar.args(["--no-same-owner", "-xf"]).arg(archive);
    printed(tar.arg("-C").arg(folder)).map(drop)
}

/// The path of the blob that a descriptor names; its size is right.
fn blob(layout: &Path, document: &Value, place: &str) -> Result<std::path::PathBuf> {
    let descriptor = document.pointer(place).context("no descriptor")?;
    let digest = descriptor["digest"].as_str().context("no digest")?;
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    let size = fs::metadata(&path)?.len();
    ensure!(descriptor["size"] == size, "{place}: {descriptor}, {size}");
    Ok(path)
}
