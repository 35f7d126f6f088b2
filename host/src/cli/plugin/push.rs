//! `tidegate plugin push`: stores a plugin in an OCI registry.

use anyhow::Result;
use tidegate_componentize::Interfaces;

use super::super::status::CommandStatus;
use super::command;
use super::console::{Console, size};
use super::registry;
use super::subject::{self, Subject};

pub(super) fn execute(
    arguments: &command::PushArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let component = subject::read(&arguments.file)?;
    // Others get nothing that a host would refuse.
    let subject = Subject::of(&component)?;
    let interfaces = Interfaces::of(&component)?;
    let info = &subject.plugin.info;
    let bytes = component.len();
    let stored = registry::within(&arguments.reference, &arguments.registry, async |client| {
        let interfaces = (&*interfaces.exports, &*interfaces.imports);
        client
            .push(component, interfaces, (&info.name, &info.version))
            .await
    })?;
    console.line(format!(
        "{stored}  {} {}, {}",
        info.name,
        info.version,
        size(bytes)
    ))?;
    Ok(CommandStatus::Success)
}
