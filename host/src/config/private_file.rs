//! Files with credentials, which their owner alone may read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::refusals::invalid;
use crate::model::{ErrorName, OperatorError};

/// Largest file.
const MAX_BYTES: u64 = 1 << 20;

/// Access of others than the owner. Secrets of Kubernetes belong to root, and a process without root reads them by its
/// group: who may change the group of a file of root is root.
fn forbidden_bits(owner: u32, user: u32) -> u32 {
    match owner == 0 && user != 0 {
        true => 0o037,
        false => 0o077,
    }
}

/// The text of a file with credentials.
///
/// Checks mode and text of the same open file: the file behind a path can be another a moment later.
///
/// # Errors
///
/// `FileNotPrivate` if others than the owner can read the file; `InvalidConfig`.
pub fn read_private(place: &str, path: &Path) -> Result<String, OperatorError> {
    let unreadable = |error: std::io::Error| invalid(format!("{place} cannot be read: {error}."));
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.mode() & forbidden_bits(found.uid(), rustix::process::geteuid().as_raw()) != 0 {
        return Err(OperatorError::new(
            ErrorName::FileNotPrivate,
            format!(
                "{place} holds credentials, and has the mode {:03o}: others than its owner have access. Run chmod 600.",
                found.mode() & 0o777
            ),
        ));
    }
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(invalid(format!(
            "{place} is larger than {MAX_BYTES} bytes."
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_read_a_file_of_root_alone() {
        assert_eq!(0o440 & forbidden_bits(0, 65_532), 0);
        for (mode, owner, user) in [
            (0o440, 0, 0),
            (0o440, 65_532, 65_532),
            (0o460, 0, 65_532),
            (0o444, 0, 65_532),
        ] {
            assert_ne!(mode & forbidden_bits(owner, user), 0, "{mode:o}");
        }
    }
}
