//! The files of tidegate that packages install: binary, manual pages, completions, documents, licences.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::archive::gzip;
use crate::tree::Tree;
use crate::{Release, output};

const DOCUMENTS: &str = "usr/share/doc/tidegate";

/// Completions: the shell, and the path at which it looks for them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/tidegate"),
    ("fish", "usr/share/fish/vendor_completions.d/tidegate.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_tidegate"),
];

/// The files that packages install.
pub(crate) struct Files {
    pub(crate) binary: Vec<u8>,
    pub(crate) copyright: Vec<u8>,
    /// The licences of the dependencies, compressed.
    pub(crate) licences: Vec<u8>,
    /// Manual pages, completions and documents.
    pub(crate) help: Tree,
}

impl Files {
    pub(crate) fn collect(release: &Release, licences: String) -> Result<Self> {
        let mut help = Tree::default();
        completions(release, &mut help)?;
        manual_pages(release, &mut help)?;
        documents(release, &mut help)?;
        Ok(Self {
            binary: fs::read(&release.binary)
                .with_context(|| format!("read {}", release.binary.display()))?,
            copyright: copyright(release)?,
            licences: gzip(licences.as_bytes(), release.compression())?,
            help,
        })
    }

    /// The licences, which every package holds.
    pub(crate) fn legal(&self, tree: &mut Tree) {
        tree.file(
            &format!("{DOCUMENTS}/copyright"),
            0o644,
            self.copyright.clone(),
        );
        let dependencies = format!("{DOCUMENTS}/dependencies.txt.gz");
        tree.file(&dependencies, 0o644, self.licences.clone());
    }
}

fn completions(release: &Release, tree: &mut Tree) -> Result<()> {
    for (shell, path) in COMPLETIONS {
        let text = output(Command::new(&release.binary).args(["completions", shell]))?;
        tree.file(path, 0o644, text + "\n");
    }
    Ok(())
}

fn manual_pages(release: &Release, tree: &mut Tree) -> Result<()> {
    let folder = tempfile::tempdir().context("create a folder for the manual pages")?;
    output(Command::new(&release.binary).arg("man").arg(folder.path()))?;
    for page in folder.path().read_dir()? {
        let page = page?;
        let name = page.file_name().to_string_lossy().into_owned();
        let bytes = gzip(&fs::read(page.path())?, release.compression())?;
        tree.file(&format!("usr/share/man/man1/{name}.gz"), 0o644, bytes);
    }
    Ok(())
}

/// The pages for operators, and examples.
fn documents(release: &Release, tree: &mut Tree) -> Result<()> {
    for folder in ["docs", "docs/errors", "docs/plugins"] {
        for page in release.workspace.join(folder).read_dir()? {
            let name = page?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                let page = format!("{folder}/{name}");
                let place = page.trim_start_matches("docs/");
                let bytes = gzip(&release.read(&page)?, release.compression())?;
                tree.file(&format!("{DOCUMENTS}/{place}.gz"), 0o644, bytes);
            }
        }
    }
    let changes = gzip(&release.read("CHANGELOG.md")?, release.compression())?;
    tree.file(&format!("{DOCUMENTS}/CHANGELOG.md.gz"), 0o644, changes);
    let example = release.read("deploy/systemd/example.yaml")?;
    tree.file(
        &format!("{DOCUMENTS}/examples/example.yaml"),
        0o644,
        example,
    );
    Ok(())
}

fn copyright(release: &Release) -> Result<Vec<u8>> {
    let mut text = b"Copyright: the authors of tidegate.\n\nLicensed under the Apache License 2.0, which follows; Debian has it as \
/usr/share/common-licenses/Apache-2.0.\nThe licences of the libraries that the binary holds are in dependencies.txt.gz.\n\n"
        .to_vec();
    text.extend(release.read("LICENSE")?);
    Ok(text)
}
