//! Archives with no trace of the machine: tar in the format of POSIX 1988, gzip without a time, and ar.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};

use crate::tree::{Entry, Tree};

const BLOCK: usize = 512;
const AR_MAGIC: &[u8] = b"!<arch>\n";
const AR_HEADER: usize = 60;

/// A tar of a tree. `prefix` goes before each path, such as `./` in Debian packages.
pub(crate) fn tar(tree: &Tree, prefix: &str, epoch: u64) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (path, entry) in tree.entries() {
        let (path, kind, mode, owner, bytes): (_, _, _, _, &[u8]) = match entry {
            Entry::Directory { mode, owner } => {
                (format!("{prefix}{path}/"), b'5', *mode, *owner, &[])
            }
            Entry::File { mode, bytes } => (format!("{prefix}{path}"), b'0', *mode, 0, bytes),
        };
        let header = Header {
            path: &path,
            kind,
            mode,
            owner,
            size: bytes.len(),
            epoch,
        };
        archive.extend(header.block()?);
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

struct Header<'a> {
    path: &'a str,
    kind: u8,
    mode: u32,
    owner: u32,
    size: usize,
    epoch: u64,
}

impl Header<'_> {
    /// The header: each field at its offset, numbers in octal digits.
    fn block(&self) -> Result<Vec<u8>> {
        let (prefix, name) = split(self.path)?;
        let owner = format!("{:07o}\0", self.owner);
        let mut block = vec![0; BLOCK];
        for (at, text) in [
            (0, name.to_owned()),
            (100, format!("{:07o}\0", self.mode)),
            (108, owner.clone()),
            (116, owner),
            (124, format!("{:011o}\0", self.size)),
            (136, format!("{:011o}\0", self.epoch)),
            // The checksum is computed with blanks in its own place.
            (148, " ".repeat(8)),
            (156, char::from(self.kind).to_string()),
            (257, "ustar\x0000".to_owned()),
            (345, prefix.to_owned()),
        ] {
            put(&mut block, at, &text)?;
        }
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        put(&mut block, 148, &format!("{sum:06o}\0 "))?;
        Ok(block)
    }
}

fn put(block: &mut [u8], at: usize, text: &str) -> Result<()> {
    let field = block.get_mut(at..at + text.len());
    field
        .context("a field outside its header")?
        .copy_from_slice(text.as_bytes());
    Ok(())
}

/// A path as prefix and name: a name holds 100 bytes at most.
fn split(path: &str) -> Result<(&str, &str)> {
    if path.len() <= 100 {
        return Ok(("", path));
    }
    let mut places = path.match_indices('/').map(|(at, _)| path.split_at(at));
    let place = places.find(|(prefix, name)| prefix.len() <= 155 && name.len() <= 101);
    let (prefix, name) = place.with_context(|| format!("{path} is too long for tar"))?;
    Ok((prefix, name.trim_start_matches('/')))
}

/// Compresses with gzip, without a name and a time.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Result<Vec<u8>> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), level);
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

/// An archive of `ar`, as Debian packages are.
pub(crate) fn ar(members: &[(&str, Vec<u8>)], epoch: u64) -> Vec<u8> {
    let mut archive = AR_MAGIC.to_vec();
    for (name, bytes) in members {
        let size = bytes.len();
        let header = format!(
            "{name:<16}{epoch:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, "100644"
        );
        archive.extend(header.as_bytes());
        archive.extend(bytes);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

/// The members of an archive of `ar`, by name.
///
/// # Errors
/// The archive is damaged.
pub fn unpack_ar(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut rest = archive.strip_prefix(AR_MAGIC).context("no archive of ar")?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(AR_HEADER).context("a short header")?;
        let header = std::str::from_utf8(header).context("a header that is no text")?;
        ensure!(header.ends_with("`\n"), "a damaged header: {header}");
        let field = |from: usize, to: usize| header.get(from..to).unwrap_or_default().trim();
        let size: usize = field(48, 58).parse().context("the size of a member")?;
        let bytes = after.get(..size).context("a short member")?;
        members.push((field(0, 16).to_owned(), bytes.to_vec()));
        rest = after.get(size.next_multiple_of(2)..).unwrap_or_default();
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_divided_at_a_slash() -> Result<()> {
        let path = format!("{}/{}", "a".repeat(60), "b".repeat(90));
        assert_eq!(
            split(&path)?,
            ("a".repeat(60).as_str(), "b".repeat(90).as_str())
        );
        assert!(split(&"c".repeat(101)).is_err());
        Ok(())
    }

    #[test]
    fn members_of_any_length_come_back() -> Result<()> {
        let members = [("odd", b"123".to_vec()), ("even", b"12".to_vec())];
        let back = unpack_ar(&ar(&members, 1))?;
        let members = members.map(|(name, bytes)| (name.to_owned(), bytes));
        assert_eq!(back, members);
        Ok(())
    }
}
