//! The stamp of a component: the version of the contract and the interfaces, read from its bytes.

use std::collections::BTreeSet;

use semver::Version;
use wasmparser::{ComponentExternName, Parser, Payload};

use super::super::sandbox::is_wasi;

/// The range of contract versions that this host supports. wasmtime matches interfaces by major version and accepts
/// newer ones as compatible, so the host checks the version itself.
const MIN: Version = Version::new(1, 0, 0);
const MAX: Version = Version::new(1, 1, 0);

const PACKAGE: &str = "tidegate:plugin/";
/// The interfaces that components export. No version since 1.0.0 has changed them.
const EXPORTS: [&str; 4] = ["describe", "route", "transform", "migrate"];
const EXPORTED: Version = Version::new(1, 0, 0);
/// The interface that components may import since 1.1.0.
const OBSERVE: &str = "observe";

/// The contract version and the interfaces of a component.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Stamp {
    /// The newest version among the interfaces of the contract.
    pub(in super::super) version: Version,
    /// The exported interfaces of the contract, without package and version.
    pub(in super::super) interfaces: BTreeSet<String>,
    /// Whether the component imports WASI.
    pub(in super::super) wasi: bool,
    /// Whether the component imports `observe`.
    pub(in super::super) observes: bool,
}

impl Stamp {
    /// Reads and checks the stamp. The error is a clause for the operator.
    pub(in super::super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let Externs { imports, exports } =
            Externs::read(bytes).map_err(|error| format!("it is not a component: {error}"))?;
        let interfaces = exported(&exports)?;
        let observed = observed(&imports)?;
        check_imports(&imports)?;
        if observed.is_some() {
            check_observer(&interfaces)?;
        }
        Ok(Self {
            observes: observed.is_some(),
            version: observed.unwrap_or(EXPORTED),
            interfaces,
            wasi: imports.iter().any(|import| is_wasi(import)),
        })
    }
}

/// The interfaces of the contract among `exports`.
fn exported(exports: &[String]) -> Result<BTreeSet<String>, String> {
    let mut interfaces = BTreeSet::new();
    for export in exports.iter().filter_map(|name| name.strip_prefix(PACKAGE)) {
        let (interface, version) = versioned(export)?;
        if !EXPORTS.contains(&interface) {
            return Err(format!(
                "it exports {interface}, which tidegate:plugin {version} does not have"
            ));
        }
        if version != EXPORTED {
            return Err(format!(
                "it exports {interface} {version}, and the contract has {interface} {EXPORTED}"
            ));
        }
        interfaces.insert(interface.to_owned());
    }
    if interfaces.is_empty() {
        return Err(format!("it exports nothing of {PACKAGE}"));
    }
    if !interfaces.contains("describe") {
        return Err("it does not export describe".to_owned());
    }
    if interfaces.len() == 1 {
        return Err("it exports neither route nor transform nor migrate".to_owned());
    }
    Ok(interfaces)
}

/// The version of the imported interface `observe`; `None` without the import.
fn observed(imports: &[String]) -> Result<Option<Version>, String> {
    let mut imports = imports.iter().filter_map(|name| name.strip_prefix(PACKAGE));
    let Some(import) = imports.find(|import| is_observe(import)) else {
        return Ok(None);
    };
    let (interface, version) = versioned(import)?;
    if version != MAX {
        return Err(format!(
            "it imports {interface} {version}, and the contract has {interface} {MAX}"
        ));
    }
    Ok(Some(version))
}

fn is_observe(import: &str) -> bool {
    import.split('@').next() == Some(OBSERVE)
}

/// The name and the version of an interface of the contract, such as `route@1.0.0`.
fn versioned(interface: &str) -> Result<(&str, Version), String> {
    let (name, version) = interface.split_once('@').unwrap_or((interface, ""));
    let version = Version::parse(version)
        .map_err(|error| format!("its interface {interface} has no version: {error}"))?;
    if !(MIN..=MAX).contains(&version) {
        return Err(format!(
            "it was built for tidegate:plugin {version}, and this host supports {MIN} to {MAX}; \
             use a newer host, or build the component for {MAX}"
        ));
    }
    Ok((name, version))
}

/// Only the calls of `transform` are observed. A migration step reads the metadata of a sync, which is in no log.
fn check_observer(interfaces: &BTreeSet<String>) -> Result<(), String> {
    if interfaces.contains("migrate") {
        return Err("it imports observe, which a migration step may not".to_owned());
    }
    if !interfaces.contains("transform") {
        return Err(
            "it imports observe and exports no transform, and nothing else is observed".to_owned(),
        );
    }
    Ok(())
}

fn check_imports(imports: &[String]) -> Result<(), String> {
    let is_provided =
        |import: &str| is_wasi(import) || import.strip_prefix(PACKAGE).is_some_and(is_observe);
    let unknown: Vec<_> = imports
        .iter()
        .map(String::as_str)
        .filter(|import| !is_provided(import))
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
