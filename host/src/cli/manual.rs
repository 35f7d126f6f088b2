//! `tidegate man`: manual pages of section 1, from the grammar of the command line.

use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;

use super::completions::grammar;

/// Writes the page of tidegate and a page of each subcommand into a folder, as `tidegate-plan.1`.
///
/// # Errors
/// A file that cannot be written.
pub fn manual(folder: &Path) -> anyhow::Result<()> {
    let mut command = grammar().disable_help_subcommand(true);
    command.build();
    write(&command, folder)
        .with_context(|| format!("write the manual pages into {}", folder.display()))
}

fn write(command: &Command, folder: &Path) -> std::io::Result<()> {
    for subcommand in command.get_subcommands() {
        write(subcommand, folder)?;
    }
    // A page has the version in place of a date: a build of the same sources next year is the same page.
    let version = env!("CARGO_PKG_VERSION");
    let page = Man::new(command.clone());
    let page = page.date(version).source("tidegate").manual("tidegate");
    page.generate_to(folder).map(drop)
}
