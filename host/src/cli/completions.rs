//! `tidegate completions`: the completions of a shell, from the grammar of the command line.

use clap_complete::Shell;

use super::plugin;
use crate::config;

/// The name of the program, as users type it.
const PROGRAM: &str = "tidegate";

/// The completions of a shell, as text for its start-up file.
pub fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut grammar(), PROGRAM, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The whole grammar, with the subcommands of `tidegate plugin`.
pub(super) fn grammar() -> clap::Command {
    config::grammar().mut_subcommand("plugin", |_listed| plugin::grammar())
}
