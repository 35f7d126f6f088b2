//! Keeps paths of the build machine out of a release: a panic names its source file. The place of that file on the
//! builder's disk is private, and would make the same source give other bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Folders and their replacements. Of two folders that contain a file, the later one counts.
pub(crate) struct Paths(Vec<(String, String)>);

impl Paths {
    /// `crates` are the folders that hold the sources of other people's crates.
    pub(crate) fn new(workspace: &Path, target: &Path, crates: &[PathBuf]) -> Result<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let cargo = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(home.as_ref()?.join(".cargo")));
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let version = rustc(&["--version", "--verbose"])?;
        let commit = version
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "))
            .context("rustc does not say of which commit it is")?;

        let mut paths = Self(Vec::new());
        for (folder, name) in [(home.as_deref(), "home"), (cargo.as_deref(), "cargo")] {
            paths.add(folder.unwrap_or(Path::new("")), name);
        }
        paths.add(&sysroot, "rust");
        // Where the library's sources are installed, rustc names them; otherwise it uses this name.
        let library = sysroot.join("lib/rustlib/src/rust");
        paths.add(&library, &format!("/rustc/{commit}"));
        for folder in crates {
            paths.add(folder, "crates");
        }
        paths.add(workspace, "tidegate");
        paths.add(target, "target");
        Ok(paths)
    }

    /// A name for the root of a file system would replace every path.
    fn add(&mut self, folder: &Path, name: &str) {
        if folder
            .parent()
            .is_some_and(|parent| !parent.as_os_str().is_empty())
        {
            let folder = folder.display().to_string();
            self.0.push((folder, name.to_owned()));
        }
    }

    /// The flags for rustc, in the form of `CARGO_ENCODED_RUSTFLAGS`.
    pub(crate) fn flags(&self) -> String {
        let flags = self.0.iter();
        let flags = flags.map(|(folder, name)| format!("--remap-path-prefix={folder}={name}"));
        flags.collect::<Vec<_>>().join("\x1f")
    }

    /// The flags for a compiler of C. Of two folders that contain a file, the later one counts, as for rustc.
    pub(crate) fn c_flags(&self) -> String {
        let flags = self.0.iter();
        let flags = flags.map(|(folder, name)| format!("-ffile-prefix-map={folder}={name}"));
        flags.collect::<Vec<_>>().join(" ")
    }

    /// The folder of a file that `bytes` name, if any.
    pub(crate) fn named_in(&self, bytes: &[u8]) -> Option<&str> {
        let mut folders = self.0.iter().map(|(folder, _)| folder.as_str());
        folders.find(|folder| {
            let within = format!("{folder}/");
            bytes
                .windows(within.len())
                .any(|part| part == within.as_bytes())
        })
    }
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(arguments).output();
    Ok(String::from_utf8(output.context("run rustc")?.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_folders_get_names_and_are_found_where_they_are_not_replaced() -> Result<()> {
        let crates = [PathBuf::from("/builds/crates")];
        let paths = Paths::new(
            Path::new("/builds/a"),
            Path::new("/builds/a/target"),
            &crates,
        )?;
        let flags = paths.flags();
        let flags: Vec<_> = flags.split('\x1f').collect();
        assert!(flags.ends_with(&[
            "--remap-path-prefix=/builds/crates=crates",
            "--remap-path-prefix=/builds/a=tidegate",
            "--remap-path-prefix=/builds/a/target=target",
        ]));
        let found = |text: &str| paths.named_in(text.as_bytes()).map(str::to_owned);
        assert_eq!(
            found("\0\0/builds/a/src/lib.rs\0").as_deref(),
            Some("/builds/a")
        );
        assert_eq!(
            found("crates/a/src/lib.rs and /builds/ab/src").as_deref(),
            None
        );
        Ok(())
    }

    #[test]
    fn the_root_gets_no_name() {
        let mut paths = Paths(Vec::new());
        for folder in ["", "/", "relative"] {
            paths.add(Path::new(folder), "x");
        }
        assert_eq!(paths.0, []);
        paths.add(Path::new("/root"), "home");
        assert_eq!(paths.0, [("/root".to_owned(), "home".to_owned())]);
    }
}
