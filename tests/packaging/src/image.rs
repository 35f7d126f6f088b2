//! The container image: a layout of the Open Container Initiative in one tar, made without a daemon. One layer, without a
//! shell: the binary, the libraries of glibc that it loads, and the certificates of public authorities.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::archive::{gzip, tar};
use crate::elf::{self, LOADER};
use crate::installation::Files;
use crate::tree::Tree;
use crate::{Release, sha256};

/// The user of the image; no file of the machine belongs to it.
const USER: u32 = 65532;

const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Licences of the libraries that come from the machine which builds the image.
const LICENCES: [&str; 2] = [
    "usr/share/doc/libc6/copyright",
    "usr/share/doc/libgcc-s1/copyright",
];

pub(crate) fn build(release: &Release, files: &Files) -> Result<Vec<u8>> {
    let layer = tar(&root(files)?, "", release.epoch)?;
    let difference = sha256(&layer);
    let layer = gzip(&layer, release.compression())?;
    let config = serde_json::to_vec(&config(release, &difference))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
    }))?;
    let digest = format!("sha256:{}", sha256(&manifest));
    let named = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": manifest.len(),
        "annotations": { "org.opencontainers.image.ref.name": release.version },
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [named],
    });
    let mut layout = Tree::default();
    layout.file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
    layout.file("index.json", 0o644, serde_json::to_vec(&index)?);
    for blob in [config, manifest, layer] {
        layout.file(&format!("blobs/sha256/{}", sha256(&blob)), 0o644, blob);
    }
    tar(&layout, "", release.epoch)
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len() })
}

/// The file system of a container.
fn root(files: &Files) -> Result<Tree> {
    let mut root = Tree::default();
    root.file("usr/bin/tidegate", 0o755, files.binary.clone());
    for (name, bytes) in elf::libraries(&files.binary)? {
        // The kernel finds the loader by its path, the loader all other libraries in Debian's folder.
        let path = if LOADER.ends_with(&name) {
            LOADER.to_owned()
        } else {
            format!("lib/x86_64-linux-gnu/{name}")
        };
        root.file(&path, 0o755, bytes);
    }
    for path in LICENCES.into_iter().chain([CERTIFICATES]) {
        let bytes = fs::read(format!("/{path}"))
            .with_context(|| format!("read /{path}, which belongs into the image"))?;
        root.file(path, 0o644, bytes);
    }
    files.legal(&mut root);
    let users =
        format!("root:x:0:0:root:/:/sbin/nologin\ntidegate:x:{USER}:{USER}::/:/sbin/nologin\n");
    root.file("etc/passwd", 0o644, users);
    root.file(
        "etc/group",
        0o644,
        format!("root:x:0:\ntidegate:x:{USER}:\n"),
    );
    root.file("etc/nsswitch.conf", 0o644, "hosts: files dns\n");
    root.directory("tmp", 0o1777, 0);
    root.directory("var/cache/tidegate", 0o700, USER);
    Ok(root)
}

fn config(release: &Release, layer: &str) -> Value {
    let created = crate::sbom::timestamp(release.epoch);
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {
            "User": format!("{USER}:{USER}"),
            "Entrypoint": ["/usr/bin/tidegate"],
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Env": ["PATH=/usr/bin", "XDG_CACHE_HOME=/var/cache"],
            // A field of Docker, which the specification leaves to implementations: others pass over it.
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/tidegate", "health"],
                "Interval": 10_000_000_000_u64,
                "Timeout": 5_000_000_000_u64,
                "Retries": 3,
            },
            "Labels": {
                "org.opencontainers.image.title": "tidegate",
                "org.opencontainers.image.description": "live sync of a MongoDB replica set into another",
                "org.opencontainers.image.version": release.version,
                "org.opencontainers.image.revision": release.commit,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.created": created,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created": created, "created_by": "cargo xtask package" }],
    })
}
