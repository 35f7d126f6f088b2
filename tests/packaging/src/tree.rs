//! Files of a package, sorted by path.

use std::collections::BTreeMap;

/// An entry of a tree.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Directory { mode: u32, owner: u32 },
    File { mode: u32, bytes: Vec<u8> },
}

/// Entries by their paths, which begin with no slash. Parents come before their children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.parents(path);
        let bytes = bytes.into();
        self.0.insert(path.to_owned(), Entry::File { mode, bytes });
    }

    /// A directory of root with mode 0755, or as given.
    pub(crate) fn directory(&mut self, path: &str, mode: u32, owner: u32) {
        self.parents(path);
        let entry = Entry::Directory { mode, owner };
        self.0.insert(path.to_owned(), entry);
    }

    fn parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let parent = path.get(..at).unwrap_or_default().to_owned();
            let entry = Entry::Directory {
                mode: 0o755,
                owner: 0,
            };
            self.0.entry(parent).or_insert(entry);
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The regular files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries().filter_map(|(path, entry)| match entry {
            Entry::File { bytes, .. } => Some((path, bytes.as_slice())),
            Entry::Directory { .. } => None,
        })
    }
}
