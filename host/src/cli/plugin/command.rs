//! The grammar of `tidegate plugin`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::console::Color;

/// Makes, checks, tries out and uploads plugins: WebAssembly components that decide what becomes of documents.
#[derive(Debug, Parser)]
#[command(name = "tidegate plugin", bin_name = "tidegate plugin")]
#[command(after_help = "A guide from nothing to a running masked sync: docs/plugins.md")]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a plugin that builds and has a test.
    New(NewArgs),
    /// Build the plugin in a folder into a component.
    Build(BuildArgs),
    /// Say whether a host can run a plugin, and whether it keeps to the rules.
    Check(CheckArgs),
    /// Show what a plugin makes of documents, before and after.
    Run(RunArgs),
    /// Measure how fast a plugin is.
    Bench(BenchArgs),
    /// Show what a plugin is, and the configuration it takes.
    Inspect(InspectArgs),
    /// Upload a plugin to a running tidegate; activates nothing.
    Add(AddArgs),
}

#[derive(Args, Debug)]
pub(super) struct NewArgs {
    /// Lower-case words joined by hyphens; also the name of the folder.
    pub(super) name: String,

    #[arg(long, value_name = "LANGUAGE", value_enum, default_value_t = Language::Rust)]
    pub(super) lang: Language,

    /// Folder to put the plugin's folder into.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) into: PathBuf,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Python,
    Javascript,
}

#[derive(Args, Debug)]
pub(super) struct BuildArgs {
    /// The plugin's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) folder: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) subject: SubjectArgs,

    /// Documents to try besides those that are made up, as for `run`: up to 1,000.
    #[arg(long = "in", value_name = "DOCUMENTS")]
    pub(super) input: Option<String>,

    /// An earlier build: says whether both answer the same, and so whether `semantics` has to rise.
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) subject: SubjectArgs,

    /// Documents: FILE.json (an array, or one after the other; Extended JSON), FILE.bson (as mongodump
    /// writes it), or mongodb://…/DATABASE.COLLECTION, which is only read.
    #[arg(
        long = "in",
        value_name = "DOCUMENTS",
        required_unless_present = "names"
    )]
    pub(super) input: Option<String>,

    /// Names to route instead of documents: a file with DATABASE.COLLECTION a line, mongodb://… for all
    /// collections of a cluster, or mongodb://…/DATABASE; only listed.
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["input", "namespace"])]
    pub(super) names: Option<String>,

    /// How many documents to read.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,

    /// The namespace that the plugin is told; by default the one that is read, or test.documents.
    #[arg(long, value_name = "DB.COLL")]
    pub(super) namespace: Option<String>,

    /// How a replaced document is shown.
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Style::Unified)]
    pub(super) diff: Style,

    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
}

/// How two forms of a document are set against one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Style {
    Unified,
    SideBySide,
}

#[derive(Args, Debug)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    pub(super) subject: SubjectArgs,

    /// Documents to take instead of generated ones of 1 KiB, as for `run`.
    #[arg(long = "in", value_name = "DOCUMENTS")]
    pub(super) input: Option<String>,

    /// How many different documents to take.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) documents: u32,

    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// A component's file, or the name of a plugin that comes with tidegate.
    #[arg(value_name = "FILE")]
    pub(super) file: String,
}

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// The component's file.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// Where the tidegate listens.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(super) host: String,

    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 27182,
        env = "TIDEGATE_PORT"
    )]
    pub(super) port: u16,
}

/// A plugin and its configuration.
#[derive(Args, Debug)]
pub(super) struct SubjectArgs {
    /// A component's file, or the name of a plugin that comes with tidegate.
    #[arg(value_name = "FILE")]
    pub(super) file: String,

    /// The plugin's configuration: a file, or the JSON itself [default: {}].
    #[arg(long, value_name = "CONFIG")]
    pub(super) config: Option<String>,
}
