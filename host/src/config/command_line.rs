//! The command line: the options of a host, and the subcommands of the binary.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::local_arguments::{HealthArguments, StatusArguments};
use super::options::Options;
use super::verify::VerifyArguments;

/// Copies a live MongoDB cluster into another and keeps the two in step until cutover.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version = env!("CARGO_PKG_VERSION"), disable_version_flag = true, rename_all = "camelCase")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(super) struct CommandLine {
    /// Configuration file (YAML, with these same names).
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    pub(super) config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) options: Options,

    /// Print the version.
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub(super) tools: Option<Tools>,
}

/// Subcommands of the binary.
#[derive(Debug, Subcommand)]
pub(super) enum Tools {
    /// Make, check, try out and upload plugins: see `tidegate plugin --help`. Since v0.1.1.
    #[command(disable_help_flag = true)]
    Plugin {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        arguments: Vec<OsString>,
    },
    /// Show, check, export or roll back the metadata of a sync. Since v0.2.0.
    #[command(rename_all = "camelCase")]
    Metadata {
        #[arg(value_enum)]
        task: MetadataTask,

        /// File that `export` writes, which only its owner can read; without it, standard output.
        /// Since v0.3.1.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,

        /// Print JSON.
        #[arg(long)]
        json: bool,

        /// Configuration file (YAML, with these same names).
        #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
        config: Option<PathBuf>,

        #[command(flatten)]
        options: Box<Options>,
    },
    /// Show what a start would do, without a change on either cluster: namespaces, sizes, time, privileges, and each reason
    /// against it. Exit code 0: it could start, 1: refused. Since v0.5.0.
    #[command(rename_all = "camelCase")]
    Plan {
        /// File with the body of `POST /api/v1/start`.
        #[arg(long, value_name = "FILE")]
        start: PathBuf,

        /// Print JSON.
        #[arg(long)]
        json: bool,

        /// Configuration file (YAML, with these same names).
        #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
        config: Option<PathBuf>,

        #[command(flatten)]
        options: Box<Options>,
    },
    /// Prove that two clusters, which any tool has synced, are equal. Writes to neither. Where nothing else writes, the
    /// result is exact; on live clusters, equal means that each document was equal at one moment of the run, and a
    /// mismatch that a difference has stayed for --settle. Exit status: 0 equal, 1 they differ, 2 not verified. Since
    /// v0.5.0.
    #[command(rename_all = "camelCase")]
    Verify {
        /// File with the body of `POST /api/v1/start`: the same filters, names and plugins as the sync. Without it,
        /// cluster0 is the source, cluster1 the destination, and everything is in scope.
        #[arg(long, value_name = "FILE")]
        start: Option<PathBuf>,

        #[command(flatten)]
        arguments: VerifyArguments,

        /// Configuration file (YAML, with these same names).
        #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
        config: Option<PathBuf>,

        #[command(flatten)]
        options: Box<Options>,
    },
    /// Ask the host of this machine whether it is healthy, for probes in images without curl. Exit code 0: it is, 1: it is
    /// not, or does not answer. Since v0.6.0.
    Health(HealthArguments),
    /// Show the sync of the host of this machine: the verdict on a cutover, the copy, index builds, the verification, lag and
    /// warnings. Exit code 0: safe to cut over, or committed, 1: not yet, 2: no answer. Since v0.6.0.
    Status(StatusArguments),
    /// Show the components of a release, and its changes to a running sync. Since v0.2.0.
    #[command(name = "featureset", subcommand)]
    #[command(disable_help_subcommand = true, arg_required_else_help = false)]
    FeatureSet(FeatureSetTool),
    /// Print the completions of a shell for its start-up file. Since v0.6.0.
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual pages of tidegate and of each subcommand into an existing folder. Since v0.6.0.
    Man {
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Task of `tidegate metadata`. The connection strings are those of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetadataTask {
    /// Show the state of the sync, its host and its components.
    Show,
    /// Every document, one a line, as canonical Extended JSON.
    Export,
    /// Whether a host can go on with it.
    Check,
    /// Take it back to the version before, for the release before; no host may be running.
    Rollback,
}

/// Task of `tidegate featureset`.
#[derive(Debug, Subcommand)]
pub(super) enum FeatureSetTool {
    /// Show a feature set: its name, version, metadata version and components.
    Show {
        /// Directory to read the feature set from, in place of the built-in one.
        #[arg(long = "featureSet", value_name = "DIR", env = "TIDEGATE_FEATURE_SET")]
        feature_set: Option<PathBuf>,

        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the changes to a running sync of PINNED when a host with INSTALLED takes it over.
    Diff {
        /// The feature set that the sync was begun with: its directory, or "embedded".
        #[arg(value_name = "PINNED")]
        from: PathBuf,

        /// The feature set of the host that takes over: its directory, or "embedded".
        #[arg(value_name = "INSTALLED")]
        to: PathBuf,

        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
