//! The files of a plugin, as they were at a moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders and files that builds write. Hidden ones are left out, too, and components.
const BUILT: [&str; 5] = [
    "target",
    "node_modules",
    "__pycache__",
    "Cargo.lock",
    "package-lock.json",
];

/// Time of the last change and length of each file. A file that cannot be read has none: an editor that saves may have
/// removed it for a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    files: BTreeMap<PathBuf, (SystemTime, u64)>,
}

impl Sources {
    /// The files of a folder, and others.
    pub(super) fn of(folder: &Path, others: impl Iterator<Item = PathBuf>) -> Self {
        let mut sources = Self::default();
        sources.add_folder(folder);
        for file in others {
            sources.add(file);
        }
        sources
    }

    fn add_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || name.ends_with(".wasm") || BUILT.contains(&&*name) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.add_folder(&path),
                Ok(_file) => self.add(path),
                Err(_gone) => {}
            }
        }
    }

    fn add(&mut self, file: PathBuf) {
        let found = fs::metadata(&file).and_then(|found| Ok((found.modified()?, found.len())));
        if let Ok(found) = found {
            self.files.insert(file, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn sources_change_and_what_is_built_does_not() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(path, text)
        };
        let other = tempfile::NamedTempFile::new()?;
        let now = || Sources::of(folder.path(), std::iter::once(other.path().to_owned()));
        write("src/lib.rs", "a")?;
        let first = now();
        write("target/debug/x", "a")?;
        write("mask.wasm", "a")?;
        write(".venv/x", "a")?;
        assert_eq!(now(), first);
        for change in ["src/lib.rs", "src/new.rs"] {
            let before = now();
            write(change, "ab")?;
            assert_ne!(now(), before, "{change}");
        }
        let before = now();
        fs::write(other.path(), "ab")?;
        assert_ne!(now(), before);
        Ok(())
    }
}
