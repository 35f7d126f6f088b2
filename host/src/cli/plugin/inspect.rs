//! `tidegate plugin inspect`: shows the properties of a plugin.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use tidegate_componentize::Interfaces;

use super::super::status::CommandStatus;
use super::command;
use super::console::{Console, size};
use super::subject::{self, Subject};

pub(super) fn execute(
    arguments: &command::InspectArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let subject = Subject::open(&arguments.file)?;
    let (plugin, info) = (&subject.plugin, &subject.plugin.info);
    let imports = if plugin.wasi || plugin.observes {
        let component = subject::read(Path::new(&arguments.file))?;
        Interfaces::of(&component)?.imports.join(", ")
    } else {
        "nothing".to_owned()
    };
    for (name, value) in [
        ("name", info.name.clone()),
        ("version", info.version.clone()),
        ("digest", info.digest.clone()),
        ("abi", info.abi.clone()),
        ("semantics", info.semantics.to_string()),
        ("scope", plugin.scope.as_str().to_owned()),
        ("exports", plugin.exports.join(", ")),
        ("imports", imports),
        ("size", size(plugin.bytes)),
    ] {
        console.line(format!("{name:<10} {value}"))?;
    }
    let schema: Value = serde_json::from_str(&plugin.config_schema)?;
    console.line(format!("configuration, as JSON Schema:\n{schema:#}"))?;
    Ok(CommandStatus::Success)
}
