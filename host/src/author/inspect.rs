//! `tidegate plugin inspect`: what a plugin is.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use wit_component::DecodedWasm;

use super::console::{Console, size};
use super::subject::{self, Subject, scope};
use super::{Ended, command};

pub(super) fn execute(arguments: &command::Inspect, console: &mut Console) -> Result<Ended> {
    let subject = Subject::open(&arguments.file)?;
    let (plugin, info) = (&subject.plugin, &subject.plugin.info);
    let imports = if plugin.wasi {
        imports(&subject::read(Path::new(&arguments.file))?)?.join(", ")
    } else {
        "nothing".to_owned()
    };
    for (name, value) in [
        ("name", info.name.clone()),
        ("version", info.version.clone()),
        ("digest", info.digest.clone()),
        ("abi", info.abi.clone()),
        ("semantics", info.semantics.to_string()),
        ("scope", scope(plugin.scope).to_owned()),
        ("exports", plugin.exports.join(", ")),
        ("imports", imports),
        ("size", size(plugin.bytes)),
    ] {
        console.line(format!("{name:<10} {value}"))?;
    }
    let schema: Value = serde_json::from_str(&plugin.config_schema)?;
    console.line(format!("configuration, as JSON Schema:\n{schema:#}"))?;
    Ok(Ended::Well)
}

/// The interfaces that a component imports.
fn imports(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        return Ok(Vec::new());
    };
    let world = resolve.worlds.get(world);
    let imports = world.map(|world| world.imports.keys());
    Ok(imports
        .into_iter()
        .flatten()
        .map(|key| resolve.name_world_key(key))
        .collect())
}
