//! The licences of dependencies: each text once, with the names of its packages.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::Result;

use crate::sbom::Graph;

/// Beginnings of the names of files with licences, in capital letters.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

pub(crate) fn collect(graph: &Graph) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in graph.foreign() {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its text");
        writeln!(list, "{name}: {licence}")?;
        let folder = package
            .manifest_path
            .parent()
            .map(std::path::Path::to_owned);
        let Some(entries) = folder.and_then(|folder| folder.read_dir().ok()) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_uppercase();
            if path.is_file() && NAMES.iter().any(|known| file.starts_with(known)) {
                let text = String::from_utf8_lossy(&fs::read(&path)?).trim().to_owned();
                texts.entry(text).or_default().push(name.clone());
            }
        }
    }
    let mut texts: Vec<(Vec<String>, String)> = (texts.into_iter())
        .map(|(text, mut packages)| {
            packages.sort();
            packages.dedup();
            (packages, text)
        })
        .collect();
    texts.sort();
    let rule = "-".repeat(80);
    for (packages, text) in texts {
        write!(list, "\n{rule}\n{}\n{rule}\n{text}\n", packages.join(", "))?;
    }
    Ok(list)
}
