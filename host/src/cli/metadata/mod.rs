//! `tidegate metadata`: shows, exports, checks and rolls back the metadata of a sync.
//!
//! All commands except `rollback` only read. Exit codes: 0 success, 1 `check` has found a fault, otherwise those of the
//! host.

mod check;
mod export;
mod show;
mod sync_metadata;

use std::io::{self, Write};

use super::status::CommandStatus;
use crate::{
    config::{MetadataCommand, MetadataTask},
    metadata::newest_release_of,
    session::{Settings, rollback},
};
use sync_metadata::SyncMetadata;

/// Runs a command of `tidegate metadata`. Prints to standard output.
///
/// Cancellation: a dropped rollback leaves the metadata in one of the versions, because each migration step is a
/// transaction. The other commands only read.
///
/// # Errors
///
/// Errors of connecting and reading, `NotFound` without a sync, and those of the rollback.
pub async fn metadata(
    command: MetadataCommand,
    settings: Settings,
) -> anyhow::Result<CommandStatus> {
    let mut out: Box<dyn Write> = match command.task {
        MetadataTask::Export => export::output(command.out.as_deref())?,
        _ => Box::new(io::stdout().lock()),
    };
    if command.task == MetadataTask::Rollback {
        let rolled = rollback(settings).await?;
        writeln!(
            out,
            "Metadata rolled back from version {} to {}. Start release {}.",
            rolled.from,
            rolled.to,
            newest_release_of(rolled.to).unwrap_or("of that version")
        )?;
        return Ok(CommandStatus::Success);
    }
    let metadata = SyncMetadata::find(&settings).await?;
    match command.task {
        MetadataTask::Show => show::show(&metadata, command.json, &mut out).await,
        MetadataTask::Export => export::export(&metadata, &mut out).await,
        MetadataTask::Check | MetadataTask::Rollback => check::check(&metadata, &mut out).await,
    }
}
