//! The shared libraries that a binary needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, SectionHeader};
use object::{Endianness, read::elf::ElfFile64};

/// Folders of libraries on the machine that builds the package, in the order of Debian's loader.
const LIBRARIES: [&str; 4] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
];

/// Libraries that are loaded by name at run time: glibc resolves names with them.
const BY_NAME: [&str; 1] = ["libresolv.so.2"];

/// The path at which the kernel looks for the loader of a program.
pub(crate) const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// Facts of a program or library.
pub(crate) struct Elf {
    /// Names of libraries.
    needed: Vec<String>,
    /// Versions of symbols, such as `GLIBC_2.34`.
    versions: Vec<String>,
}

impl Elf {
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        parse(bytes).with_context(|| format!("read the libraries of {}", path.display()))
    }

    /// The newest glibc of whose symbols it uses one, as major and minor number.
    pub(crate) fn newest_glibc(&self) -> Option<(u32, u32)> {
        let numbers = self.versions.iter().filter_map(|version| {
            let (major, minor) = version.strip_prefix("GLIBC_")?.split_once('.')?;
            let minor = minor.split('.').next()?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        numbers.max()
    }
}

fn parse(bytes: &[u8]) -> Result<Elf> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let (header, endian): (&FileHeader64<Endianness>, _) = (file.elf_header(), file.endian());
    let sections = header.sections(endian, bytes)?;
    let (mut needed, mut versions) = (Vec::new(), Vec::new());
    for section in sections.iter() {
        if let Some((entries, strings)) = section.dynamic(endian, bytes)? {
            let strings = sections.strings(endian, bytes, strings)?;
            for entry in entries
                .iter()
                .filter(|entry| entry.tag32(endian).map(i64::from) == Some(elf::DT_NEEDED))
            {
                let name = entry.string(endian, strings)?;
                needed.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        if let Some((mut libraries, strings)) = section.gnu_verneed(endian, bytes)? {
            let strings = sections.strings(endian, bytes, strings)?;
            while let Some((_, mut used)) = libraries.next()? {
                while let Some(version) = used.next()? {
                    let name = version.name(endian, strings)?;
                    versions.push(String::from_utf8_lossy(name).into_owned());
                }
            }
        }
    }
    Ok(Elf { needed, versions })
}

/// The libraries that a program loads, by name, with those that they load themselves.
pub(crate) fn libraries(program: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut open = Elf::read(Path::new("tidegate"), program)?.needed;
    open.extend(BY_NAME.map(str::to_owned));
    let mut found = BTreeMap::new();
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let path = locate(&name)?;
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        open.extend(Elf::read(&path, &bytes)?.needed);
        found.insert(name, bytes);
    }
    Ok(found)
}

fn locate(name: &str) -> Result<PathBuf> {
    let mut places = LIBRARIES.iter().map(|folder| Path::new(folder).join(name));
    let place = places.find(|path| path.is_file());
    place.ok_or_else(|| anyhow!("the library {name} is not on this machine"))
}
