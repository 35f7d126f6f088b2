//! States of files, to see whether they have changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::ProtectionOptions;

/// The states of the protection's files, without their contents.
#[derive(PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<FileState>>);

/// Inode, size, and the times of the last change of content and of mode. Links are followed: a mounted secret is
/// replaced by a change of its link.
type FileState = (u64, u64, i64, i64, i64, i64);

impl Stamp {
    pub(super) fn of(options: &ProtectionOptions) -> Self {
        let tls = options.tls.as_ref();
        let files = [
            options.tokens_file.as_deref(),
            tls.map(|tls| tls.certificate_key_file.as_path()),
            tls.and_then(|tls| tls.client_ca_file.as_deref()),
        ];
        Self(files.into_iter().flatten().map(state).collect())
    }
}

fn state(file: &Path) -> Option<FileState> {
    let found = std::fs::metadata(file).ok()?;
    Some((
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}
