//! The components of the binary, in the format CycloneDX 1.5, from `cargo metadata` and the checksums of the lock file.
//!
//! Cargo resolves the features of the whole workspace, so the list may hold a package that the binary does not use. It
//! never lacks one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Release, output, sha256};

/// A package of the workspace, or of a registry.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
    source: Option<String>,
    metadata: Option<Value>,
}

impl Package {
    fn url(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }

    /// A component that the host embeds.
    fn is_component(&self) -> bool {
        let table = self.metadata.as_ref().and_then(|all| all.get("tidegate"));
        table.is_some_and(|table| table.get("role").is_some())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

/// No kind is that of the program itself; `dev` and `build` are the others.
#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The packages of the binary, by name and version, and the packages that each uses.
pub(crate) struct Graph {
    packages: BTreeMap<(String, String), Package>,
    uses: BTreeMap<String, BTreeSet<String>>,
    checksums: BTreeMap<(String, String), String>,
}

impl Graph {
    pub(crate) fn read(workspace: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(workspace);
        command.args(["metadata", "--locked", "--format-version", "1"]);
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
        let metadata: Metadata = serde_json::from_str(&output(&mut command)?)?;
        let lock = std::fs::read_to_string(workspace.join("Cargo.lock"))?;
        let lock: Lock = toml::from_str(&lock).context("read Cargo.lock")?;
        let checksums = lock.package.into_iter().filter_map(|locked| {
            let checksum = locked.checksum?;
            Some(((locked.name, locked.version), checksum))
        });
        Ok(Self::reached(metadata, checksums.collect()))
    }

    /// Those that the host and its components reach.
    fn reached(metadata: Metadata, checksums: BTreeMap<(String, String), String>) -> Self {
        let all: BTreeMap<_, _> = (metadata.packages.into_iter())
            .map(|package| (package.id.clone(), package))
            .collect();
        let nodes: BTreeMap<_, _> = (metadata.resolve.nodes.into_iter())
            .map(|node| (node.id, node.deps))
            .collect();
        let roots = all
            .values()
            .filter(|package| package.name == "tidegate" || package.is_component());
        let mut open: Vec<String> = roots.map(|package| package.id.clone()).collect();
        let (mut packages, mut uses) = (BTreeMap::new(), BTreeMap::new());
        while let Some(id) = open.pop() {
            let Some(package) = all.get(&id) else {
                continue;
            };
            let key = (package.name.clone(), package.version.clone());
            if packages.insert(key, package.clone()).is_some() {
                continue;
            }
            let used = nodes.get(&id).into_iter().flatten();
            let used = used.filter(|used| used.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            let used: Vec<&Package> = used.filter_map(|used| all.get(&used.pkg)).collect();
            open.extend(used.iter().map(|package| package.id.clone()));
            let urls = used.iter().map(|package| package.url());
            uses.insert(package.url(), urls.collect());
        }
        Self {
            packages,
            uses,
            checksums,
        }
    }

    /// The packages of other people.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .values()
            .filter(|package| package.source.is_some())
    }

    /// All packages, by name and version.
    pub(crate) fn names(&self) -> BTreeSet<(String, String)> {
        self.packages.keys().cloned().collect()
    }

    fn component(&self, package: &Package) -> Value {
        let key = (package.name.clone(), package.version.clone());
        let checksum = self.checksums.get(&key);
        let licence = package
            .license
            .as_deref()
            .map(|text| text.replace('/', " OR "));
        json!({
            "type": "library",
            "bom-ref": package.url(),
            "name": package.name,
            "version": package.version,
            "purl": package.url(),
            "scope": "required",
            "licenses": licence.iter().map(|licence| json!({ "expression": licence })).collect::<Vec<_>>(),
            "hashes": checksum.iter().map(|sum| json!({ "alg": "SHA-256", "content": sum })).collect::<Vec<_>>(),
        })
    }
}

pub(crate) fn build(release: &Release, graph: &Graph) -> Result<Vec<u8>> {
    let version = &release.version;
    let subject = format!("pkg:cargo/tidegate@{version}");
    let others = graph
        .packages
        .values()
        .filter(|package| package.name != "tidegate");
    let components: Vec<Value> = others.map(|package| graph.component(package)).collect();
    let dependencies: Vec<Value> = (graph.uses.iter())
        .map(|(package, used)| json!({ "ref": package, "dependsOn": used }))
        .collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial_number(release),
        "version": 1,
        "metadata": {
            "timestamp": timestamp(release.epoch),
            "component": {
                "type": "application",
                "bom-ref": subject,
                "name": "tidegate",
                "version": version,
                "purl": subject,
                "licenses": [{ "expression": "Apache-2.0" }],
                "properties": [{ "name": "tidegate:commit", "value": release.commit }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_vec_pretty(&list)?;
    text.push(b'\n');
    Ok(text)
}

/// A UUID of version 8, from the commit: the same commit gives the same list.
fn serial_number(release: &Release) -> String {
    let digest = sha256(format!("tidegate {} {}", release.version, release.commit).as_bytes());
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}

/// Seconds since 1970 as RFC 3339. Days become a date by the arithmetic of Howard Hinnant's `civil_from_days`.
pub(crate) fn timestamp(epoch: u64) -> String {
    let (days, seconds) = (epoch / 86_400 + 719_468, epoch % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn seconds_become_a_date() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(timestamp(1_795_824_000), "2026-11-28T00:00:00Z");
    }
}
