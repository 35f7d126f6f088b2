//! The command line: a host to run, a tool, or a text to print.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;

use super::file;
use super::host::{Config, existing_directory};
use super::options::{CommandLine, FeatureSetTool, MetadataTask, Tools};
use super::refusals::{self, invalid};
use crate::model::OperatorError;

/// What the built-in feature set is called where a folder could stand.
const EMBEDDED: &str = "embedded";

/// `tidegate metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataCommand {
    pub task: MetadataTask,
    /// The file that an export is written to.
    pub out: Option<PathBuf>,
    /// Print JSON, where there is a choice.
    pub json: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    Run(Config),
    /// Run the tools for authors of plugins with these arguments.
    Plugin(Vec<OsString>),
    /// Look at, or take back, what a sync persists.
    Metadata(MetadataCommand, Config),
    /// Say something of feature sets.
    FeatureSet(FeatureSetCommand),
    /// Print this text and leave.
    Print(String),
}

/// What to say of feature sets; each is in a folder, or the embedded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeatureSetCommand {
    /// What one ships.
    Show { set: Option<PathBuf>, json: bool },
    /// What happens to a sync that is pinned to `from` on a host with `to`.
    Diff {
        from: Option<PathBuf>,
        to: Option<PathBuf>,
        json: bool,
    },
}

/// Reads the command line, the environment, and the configuration file that
/// one of them names.
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
        Some(Tools::FeatureSet(tool)) => feature_set_command(tool).map(Request::FeatureSet),
        Some(Tools::Metadata {
            task,
            out,
            json,
            config,
            options,
        }) => {
            if out.is_some() && task != MetadataTask::Export {
                return Err(invalid("out is for export alone."));
            }
            let config = file::config(*options, config.as_deref())?;
            Ok(Request::Metadata(
                MetadataCommand { task, out, json },
                config,
            ))
        }
    }
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
