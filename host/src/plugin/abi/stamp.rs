//! The stamp of a component: the version of the contract and the interfaces, read from its bytes.

use std::collections::BTreeSet;

use semver::Version;
use wasmparser::{ComponentExternName, Parser, Payload};

use super::super::sandbox::is_wasi;

/// The range of contract versions that this host supports. wasmtime matches interfaces by major version and accepts
/// newer ones as compatible, so the host checks the version itself.
const MIN: Version = Version::new(1, 0, 0);
const MAX: Version = Version::new(1, 0, 0);

const PACKAGE: &str = "tidegate:plugin/";
const INTERFACES: [&str; 4] = ["describe", "route", "transform", "migrate"];

/// The contract version and the interfaces of a component.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Stamp {
    /// The newest version among the exported interfaces.
    pub(in super::super) version: Version,
    /// The exported interfaces of the contract, without package and version.
    pub(in super::super) interfaces: BTreeSet<String>,
    /// Whether the component imports WASI.
    pub(in super::super) wasi: bool,
}

impl Stamp {
    /// Reads and checks the stamp. The error is a clause for the operator.
    pub(in super::super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let Externs { imports, exports } =
            Externs::read(bytes).map_err(|error| format!("it is not a component: {error}"))?;
        let (version, interfaces) = contract(&exports)?;
        check_imports(&imports)?;
        Ok(Self {
            version,
            interfaces,
            wasi: !imports.is_empty(),
        })
    }
}

/// The interfaces of the contract among `exports`, and the newest of their versions.
fn contract(exports: &[String]) -> Result<(Version, BTreeSet<String>), String> {
    let mut newest = None;
    let mut interfaces = BTreeSet::new();
    for export in exports.iter().filter_map(|name| name.strip_prefix(PACKAGE)) {
        let (interface, version) = export.split_once('@').unwrap_or((export, ""));
        let version = Version::parse(version)
            .map_err(|error| format!("its export {export} has no version: {error}"))?;
        if !(MIN..=MAX).contains(&version) {
            return Err(format!(
                "it was built for tidegate:plugin {version}, and this host supports {MIN} to {MAX}; \
                 use a newer host, or build the component for {MAX}"
            ));
        }
        if !INTERFACES.contains(&interface) {
            return Err(format!(
                "it exports {interface}, which tidegate:plugin {version} does not have"
            ));
        }
        newest = newest.max(Some(version));
        interfaces.insert(interface.to_owned());
    }
    let version = newest.ok_or_else(|| format!("it exports nothing of {PACKAGE}"))?;
    if !interfaces.contains("describe") {
        return Err("it does not export describe".to_owned());
    }
    if interfaces.len() == 1 {
        return Err("it exports neither route nor transform nor migrate".to_owned());
    }
    Ok((version, interfaces))
}

fn check_imports(imports: &[String]) -> Result<(), String> {
    let unknown: Vec<_> = imports
        .iter()
        .filter(|import| !is_wasi(import))
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it imports {}, which this host does not provide; build it for wasm32-unknown-unknown, \
         or remove the code that needs the import",
        unknown.join(", ")
    ))
}

/// The names of a component's imports and exports, without those of nested components.
#[derive(Default)]
struct Externs {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Externs {
    fn read(bytes: &[u8]) -> wasmparser::Result<Self> {
        let mut outside = Self::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        outside.imports.push(full_name(&import?.name));
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        outside.exports.push(full_name(&export?.name));
                    }
                }
                _ => {}
            }
        }
        Ok(outside)
    }
}

/// The name with its whole version: newer tools write `…@1`, and the rest of the version separately.
fn full_name(name: &ComponentExternName<'_>) -> String {
    format!("{}{}", name.name, name.version_suffix.unwrap_or_default())
}
