//! `tidegate plugin sign`: signs a plugin in an OCI registry.

use anyhow::Result;

use super::super::status::CommandStatus;
use super::command;
use super::console::Console;
use super::registry;
use crate::config::read_private;
use crate::distribution::SigningKey;

pub(super) fn execute(
    arguments: &command::SignArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let place = arguments.key.display().to_string();
    let key = SigningKey::from_pem(&place, &read_private(&place, &arguments.key)?)?;
    let signed = registry::within(&arguments.reference, &arguments.registry, async |client| {
        client.sign(&key).await
    })?;
    console.line(format!("{signed}  signed"))?;
    Ok(CommandStatus::Success)
}
