//! The command line: a host to run, a tool, or a text to print.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use super::command_line::{CommandLine, FeatureSetTool, MetadataTask, Tools};
use super::file;
use super::host::{Config, existing_directory};
use super::local::{HealthCommand, StatusCommand};
use super::refusals::{self, invalid};
use super::verify::VerifyCommand;
use crate::model::OperatorError;

/// Name of the built-in feature set, in place of a folder.
const EMBEDDED: &str = "embedded";

/// `tidegate metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataCommand {
    /// Task to run.
    pub task: MetadataTask,
    /// File of an export.
    pub out: Option<PathBuf>,
    /// Print JSON, for tasks with a choice of formats.
    pub json: bool,
}

/// `tidegate plan`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCommand {
    /// The body of `POST /start`, from the file of `--start`.
    pub start: Vec<u8>,
    /// Print JSON.
    pub json: bool,
}

/// Request of a command line.
#[derive(Debug)]
pub enum Request {
    /// Run a host.
    Run(Config),
    /// Run the tools for authors of plugins with these arguments.
    Plugin(Vec<OsString>),
    /// Show, check, export or roll back the metadata of a sync.
    Metadata(MetadataCommand, Config),
    /// Show what a start would do.
    Plan(PlanCommand, Config),
    /// Compare two clusters that any tool has synced, with the filters and plugins in this body of `POST /start`.
    Verify(VerifyCommand, Option<Vec<u8>>, Config),
    /// Ask the host of this machine whether it is healthy.
    Health(HealthCommand),
    /// Show the sync of the host of this machine.
    Status(StatusCommand),
    /// Show or compare feature sets.
    FeatureSet(FeatureSetCommand),
    /// Print the completions of this shell.
    Completions(Shell),
    /// Write the manual pages into this folder.
    Manual(PathBuf),
    /// Print this text and exit.
    Print(String),
}

/// `tidegate featureset`. A feature set is in a folder; `None` is the embedded feature set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeatureSetCommand {
    /// Shows the components of a feature set.
    Show {
        /// Feature set to show.
        set: Option<PathBuf>,
        /// Print JSON.
        json: bool,
    },
    /// Shows the consequences for a sync that is pinned to `from`, on a host with `to`.
    Diff {
        /// Feature set of the release that the sync is pinned to.
        from: Option<PathBuf>,
        /// Feature set of the host that takes the sync over.
        to: Option<PathBuf>,
        /// Print JSON.
        json: bool,
    },
}

/// The grammar of the command line, for completions and manual pages. `tidegate plugin` has a grammar of its own.
pub fn grammar() -> clap::Command {
    CommandLine::command()
}

/// Reads the command line, the environment, and the configuration file that they name.
///
/// # Errors
/// `InvalidConfig`, `InvalidUri` or `NotSupported`, without secrets in the message.
pub fn load(args: impl IntoIterator<Item = OsString>) -> Result<Request, OperatorError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let command_line = match CommandLine::try_parse_from(&args) {
        Ok(command_line) => command_line,
        Err(error) => return printed_or_refused(&error, &args),
    };
    match command_line.tools {
        None => {
            file::config(command_line.options, command_line.config.as_deref()).map(Request::Run)
        }
        Some(Tools::Plugin { arguments }) => Ok(Request::Plugin(arguments)),
        Some(Tools::Health(arguments)) => HealthCommand::check(arguments).map(Request::Health),
        Some(Tools::Status(arguments)) => StatusCommand::check(arguments).map(Request::Status),
        Some(Tools::FeatureSet(tool)) => feature_set_command(tool).map(Request::FeatureSet),
        Some(Tools::Completions { shell }) => Ok(Request::Completions(shell)),
        Some(Tools::Man { folder }) => existing_directory("man", folder).map(Request::Manual),
        Some(Tools::Plan {
            start,
            json,
            config,
            options,
        }) => {
            let config = file::config(*options, config.as_deref())?;
            let start = start_body(&start)?;
            Ok(Request::Plan(PlanCommand { start, json }, config))
        }
        Some(Tools::Verify {
            start,
            arguments,
            config,
            options,
        }) => {
            let config = file::config(*options, config.as_deref())?;
            let start = start.as_deref().map(start_body).transpose()?;
            let command = arguments.into();
            Ok(Request::Verify(command, start, config))
        }
        Some(Tools::Metadata {
            task,
            out,
            json,
            config,
            options,
        }) => {
            if out.is_some() && task != MetadataTask::Export {
                return Err(invalid("--out is only for export."));
            }
            let config = file::config(*options, config.as_deref())?;
            Ok(Request::Metadata(
                MetadataCommand { task, out, json },
                config,
            ))
        }
    }
}

/// The body of `POST /start` in a file.
fn start_body(file: &Path) -> Result<Vec<u8>, OperatorError> {
    fs::read(file).map_err(|error| {
        invalid(format!(
            "The file {} of --start cannot be read: {error}.",
            file.display()
        ))
    })
}

fn feature_set_command(tool: FeatureSetTool) -> Result<FeatureSetCommand, OperatorError> {
    let set = |given: PathBuf| match given.to_str() {
        Some(EMBEDDED) => Ok(None),
        _ => existing_directory("featureSet", given).map(Some),
    };
    Ok(match tool {
        FeatureSetTool::Show { feature_set, json } => FeatureSetCommand::Show {
            set: feature_set
                .map(|set| existing_directory("featureSet", set))
                .transpose()?,
            json,
        },
        FeatureSetTool::Diff { from, to, json } => FeatureSetCommand::Diff {
            from: set(from)?,
            to: set(to)?,
            json,
        },
    })
}

fn printed_or_refused(error: &clap::Error, args: &[OsString]) -> Result<Request, OperatorError> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Ok(Request::Print(error.render().to_string()))
        }
        _ => Err(invalid(refusals::refusal(error, args))),
    }
}
