//! The grammar of `tidegate plugin`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::console::Color;

/// Creates, checks, runs and uploads plugins: WebAssembly components that filter, change and route documents.
#[derive(Debug, Parser)]
#[command(name = "tidegate plugin", bin_name = "tidegate plugin")]
#[command(after_help = "A guide to a first plugin and a masked sync: docs/plugins.md")]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a plugin that builds and has a test.
    New(NewArgs),
    /// Build the plugin in a folder into a component.
    Build(BuildArgs),
    /// Check that a host can run a plugin, and that the plugin keeps to the contract.
    Check(CheckArgs),
    /// Run a plugin on documents, and show them before and after.
    Run(RunArgs),
    /// Run two builds of a plugin on the same documents, and show for which their answers differ. Exit codes as of
    /// diff: 0 for none, 1 for some, 2 for trouble. Since v0.8.0.
    Diff(DiffArgs),
    /// Build and run the plugin in a folder anew whenever a file of it changes, and show what changes in its answers.
    /// Ends by Ctrl-C. Since v0.8.0.
    Watch(WatchArgs),
    /// Measure the speed of a plugin.
    Bench(BenchArgs),
    /// Show the properties of a plugin, and the schema of its configuration.
    Inspect(InspectArgs),
    /// Upload a plugin to a running tidegate; activates nothing.
    Add(AddArgs),
    /// Store a plugin in an OCI registry. Prints its reference by digest. Since v0.7.0.
    Push(PushArgs),
    /// Fetch a plugin from an OCI registry into a file. Since v0.7.0.
    Pull(PullArgs),
    /// Sign a plugin in an OCI registry, as cosign does. Since v0.7.0.
    Sign(SignArgs),
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

/// The language of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Python,
    Javascript,
    Go,
    C,
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

    /// Up to 1,000 documents to check in addition to generated documents, as for `run`.
    #[arg(long = "in", value_name = "DOCUMENTS")]
    pub(super) input: Option<String>,

    /// An earlier build: compares the answers of both, and with that checks `semantics`.
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

    /// Documents: FILE.json (an array or a sequence; Extended JSON), FILE.bson (as written by mongodump), or
    /// mongodb://…/DATABASE.COLLECTION, which is only read.
    #[arg(
        long = "in",
        value_name = "DOCUMENTS",
        required_unless_present = "names"
    )]
    pub(super) input: Option<String>,

    /// Names to route instead of documents: a file with a DATABASE.COLLECTION per line, mongodb://… for all
    /// collections of a cluster, or mongodb://…/DATABASE. Clusters are only listed.
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["input", "namespace"])]
    pub(super) names: Option<String>,

    /// Most documents to read.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,

    /// Namespace for the plugin [default: the namespace of --in, or test.documents].
    #[arg(long, value_name = "DB.COLL")]
    pub(super) namespace: Option<String>,

    /// Style of replaced documents.
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Style::Unified)]
    pub(super) diff: Style,

    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
}

/// The style of a difference between two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Style {
    Unified,
    SideBySide,
}

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// The build to compare with: a component file, or the name of a plugin that is shipped with tidegate.
    #[arg(value_name = "OLD")]
    pub(super) old: String,

    /// The build to compare.
    #[arg(value_name = "NEW")]
    pub(super) new: String,

    /// Configuration of both: a file, or a JSON object [default: {}].
    #[arg(long, value_name = "CONFIG")]
    pub(super) config: Option<String>,

    /// Another configuration of NEW.
    #[arg(long = "newConfig", value_name = "CONFIG")]
    pub(super) new_config: Option<String>,

    /// Documents, as for `run`; a collection is read to its end.
    #[arg(
        long = "in",
        value_name = "DOCUMENTS",
        required_unless_present = "names"
    )]
    pub(super) input: Option<String>,

    /// Names to route instead of documents, as for `run`.
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["input", "namespace"])]
    pub(super) names: Option<String>,

    /// Most documents to read [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,

    /// Namespace for the builds [default: the namespace of --in, or test.documents].
    #[arg(long, value_name = "DB.COLL")]
    pub(super) namespace: Option<String>,

    /// Most differences to list; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) list: u32,

    /// Show the contents of documents that differ, not their `_id` and paths alone.
    #[arg(long)]
    pub(super) contents: bool,

    /// Style of --contents.
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Style::Unified)]
    pub(super) diff: Style,

    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
}

#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// The plugin's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) folder: PathBuf,

    /// Documents, as for `run` [default: documents.json in the folder].
    #[arg(long = "in", value_name = "DOCUMENTS")]
    pub(super) input: Option<String>,

    /// Configuration of the plugin: a file, or a JSON object [default: config.json in the folder, or {}].
    #[arg(long, value_name = "CONFIG")]
    pub(super) config: Option<String>,

    /// Most documents to read.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,

    /// Style of documents that differ.
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Style::Unified)]
    pub(super) diff: Style,

    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
}

#[derive(Args, Debug)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    pub(super) subject: SubjectArgs,

    /// Documents to use instead of generated documents of 1 KiB, as for `run`.
    #[arg(long = "in", value_name = "DOCUMENTS")]
    pub(super) input: Option<String>,

    /// Number of different documents.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) documents: u32,

    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// A component file, or the name of a plugin that is shipped with tidegate.
    #[arg(value_name = "FILE")]
    pub(super) file: String,
}

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// The component file.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// Host name or address of tidegate; `https://NAME` for a host with TLS.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(super) host: String,

    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 27182,
        env = "TIDEGATE_PORT"
    )]
    pub(super) port: u16,

    /// File with the token of a caller with the role committer.
    #[arg(long = "tokenFile", value_name = "FILE", env = "TIDEGATE_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// File (PEM) with the authorities of the host's certificate [default: the public authorities].
    #[arg(long = "caFile", value_name = "FILE", env = "TIDEGATE_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

/// Access to a registry. A registry on this machine is spoken to by HTTP, any other by HTTPS.
#[derive(Args, Debug)]
pub(super) struct RegistryArgs {
    /// File with credentials, in the form of Docker's config.json [default: Docker's own file].
    #[arg(
        long = "registryAuthFile",
        value_name = "FILE",
        env = "TIDEGATE_REGISTRY_AUTH_FILE"
    )]
    pub(super) auth_file: Option<PathBuf>,

    /// File (PEM) with an authority of registries, in addition to those of the system.
    #[arg(
        long = "registryCaFile",
        value_name = "FILE",
        env = "TIDEGATE_REGISTRY_CA_FILE"
    )]
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct PushArgs {
    /// The component file.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// Where to: REGISTRY/REPOSITORY:TAG, with or without oci://.
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: String,

    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

#[derive(Args, Debug)]
pub(super) struct PullArgs {
    /// Where from: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST, with or without oci://.
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: String,

    /// File to write [default: the last part of the repository's name, with .wasm]. An existing file is replaced.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,

    /// File (PEM) with a public key, such as cosign.pub: a plugin without its signature is refused.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,

    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

#[derive(Args, Debug)]
pub(super) struct SignArgs {
    /// The plugin: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST, with or without oci://.
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: String,

    /// File with a private key on the curve P-256 (PEM, PKCS#8), which its owner alone can read.
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,

    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

/// A plugin and its configuration.
#[derive(Args, Debug)]
pub(super) struct SubjectArgs {
    /// A component file, or the name of a plugin that is shipped with tidegate.
    #[arg(value_name = "FILE")]
    pub(super) file: String,

    /// Configuration of the plugin: a file, or a JSON object [default: {}].
    #[arg(long, value_name = "CONFIG")]
    pub(super) config: Option<String>,
}
