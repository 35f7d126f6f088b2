//! `tidegate plugin`: the tools for plugin authors, from the first file to the upload. They run components exactly as a
//! sync does. No command changes a cluster, and only `add` connects to a running host. `push`, `pull` and `sign` speak to a registry.
//!
//! Exit codes: 0 success, 1 a fault of the plugin or a refusal of the host, 2 a fault of the command line. Those of `diff`
//! are the ones of diff(1): 1 for differences, 2 for everything that kept it from comparing.

mod add;
mod answer;
mod bench;
mod build;
mod check;
mod command;
mod comparison;
mod console;
mod diff;
mod document_paths;
mod document_stream;
mod document_text;
mod documents;
mod inspect;
mod names;
mod new;
mod pull;
mod push;
mod registry;
mod run;
mod samples;
mod sign;
mod subject;
mod traps;
mod usage_error;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::config::mask_text;

use super::status::CommandStatus;
use command::{Command, CommandLine};
use console::Console;
use usage_error::is_usage_error;

/// Runs a command of `tidegate plugin`, and returns its exit code. `arguments` are those after `plugin`.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let program = std::iter::once(OsString::from("tidegate plugin"));
    let command = match CommandLine::try_parse_from(program.chain(arguments)) {
        Ok(command_line) => command_line.command,
        Err(error) => return explain(&error),
    };
    traps::show();
    let trouble = if matches!(command, Command::Diff(_)) {
        2
    } else {
        1
    };
    match execute(command, &mut Console::of_process()) {
        Ok(CommandStatus::Success) => ExitCode::SUCCESS,
        Ok(CommandStatus::Failure) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "tidegate: {error:#}");
            ExitCode::from(if is_usage_error(&error) { 2 } else { trouble })
        }
    }
}

/// The grammar of `tidegate plugin`, as a subcommand of `tidegate`.
pub(super) fn grammar() -> clap::Command {
    CommandLine::command().name("plugin")
}

fn execute(command: Command, console: &mut Console) -> anyhow::Result<CommandStatus> {
    match command {
        Command::New(arguments) => new::execute(&arguments, console),
        Command::Build(arguments) => build::execute(&arguments, console),
        Command::Check(arguments) => check::execute(&arguments, console),
        Command::Run(arguments) => run::execute(&arguments, console),
        Command::Diff(arguments) => diff::execute(&arguments, console),
        Command::Watch(arguments) => watch::execute(&arguments, console),
        Command::Bench(arguments) => bench::execute(&arguments, console),
        Command::Inspect(arguments) => inspect::execute(&arguments, console),
        Command::Add(arguments) => add::execute(&arguments, console),
        Command::Push(arguments) => push::execute(&arguments, console),
        Command::Pull(arguments) => pull::execute(&arguments, console),
        Command::Sign(arguments) => sign::execute(&arguments, console),
    }
}

/// Prints help to standard output, or a fault of the arguments to standard error, with the secrets of connection strings
/// masked.
fn explain(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        _ = write!(io::stderr(), "{}", mask_text(&text));
        ExitCode::from(2)
    } else {
        _ = write!(io::stdout(), "{text}");
        ExitCode::SUCCESS
    }
}

/// Whether the reader of standard output has closed it, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
