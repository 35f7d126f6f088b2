//! The Helm chart as an archive, with the version of the release.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Release;
use crate::archive::{gzip, tar};
use crate::tree::Tree;

const CHART: &str = "deploy/helm/tidegate";

pub(crate) fn build(release: &Release) -> Result<Vec<u8>> {
    let mut tree = Tree::default();
    add(&release.workspace.join(CHART), "tidegate", &mut tree)?;
    gzip(&tar(&tree, "", release.epoch)?, release.compression())
}

fn add(folder: &Path, name: &str, tree: &mut Tree) -> Result<()> {
    let entries = folder
        .read_dir()
        .with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = format!("{name}/{file}");
        if path.is_dir() {
            add(&path, &name, tree)?;
        } else {
            tree.file(&name, 0o644, fs::read(&path)?);
        }
    }
    Ok(())
}
