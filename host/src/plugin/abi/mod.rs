//! The released versions of the plugin contract: which a component was built for
//! is read from its bytes, before any of it is compiled.

pub(super) mod v1_0_0;

use std::collections::BTreeSet;

use semver::Version;
use wasmparser::{ComponentExternName, Parser, Payload};

/// The contracts that this host knows. wasmtime matches interfaces by their major
/// version and takes a newer one for compatible, so the host has to look itself.
const MIN: Version = Version::new(1, 0, 0);
const MAX: Version = Version::new(1, 0, 0);

const PACKAGE: &str = "tidegate:plugin/";

/// What a component's outside says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The newest version among the interfaces that it exports.
    pub(super) version: Version,
    /// Those interfaces, without package and version.
    pub(super) interfaces: BTreeSet<String>,
}

impl Stamp {
    /// Reads and checks the stamp. The error is a clause for the operator.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let Outside { imports, exports } =
            Outside::read(bytes).map_err(|error| format!("it is not a component: {error}"))?;
        let mut version = None;
        let mut interfaces = BTreeSet::new();
        for export in exports
            .iter()
            .filter_map(|export| export.strip_prefix(PACKAGE))
        {
            let (interface, stamped) = export.split_once('@').unwrap_or((export, ""));
            let stamped = Version::parse(stamped)
                .map_err(|error| format!("its export {export} has no version: {error}"))?;
            version = version.max(Some(stamped));
            interfaces.insert(interface.to_owned());
        }
        let version = version.ok_or_else(|| format!("it exports nothing of {PACKAGE}"))?;
        if !(MIN..=MAX).contains(&version) {
            return Err(format!(
                "it was built for tidegate:plugin {version}, and this host supports {MIN} to {MAX}; \
                 use a newer host, or build the component for {MAX}"
            ));
        }
        if !imports.is_empty() {
            return Err(format!(
                "it imports {}, and this host gives a component nothing to import; \
                 build it for wasm32-unknown-unknown, without WASI",
                imports.join(", ")
            ));
        }
        Ok(Self {
            version,
            interfaces,
        })
    }
}

/// The names of a component's imports and exports, nested components left out.
#[derive(Default)]
struct Outside {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Outside {
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

/// Newer tools write `…@1` and the rest of the version apart from it.
fn full_name(name: &ComponentExternName<'_>) -> String {
    format!("{}{}", name.name, name.version_suffix.unwrap_or_default())
}
