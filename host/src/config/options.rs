//! Options as an operator gives them, unchecked.
//!
//! A single table serves the command line, the environment and the configuration file, so that the three
//! cannot differ.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;

use super::local_arguments::{HealthArguments, StatusArguments};
use super::values::{IgnoredValue, number};
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

/// Options of a source of configuration. Since v0.1.0, unless a comment tells another release.
#[derive(Args, Debug, Default, Deserialize)]
#[command(rename_all = "camelCase")]
#[serde(
    rename_all = "camelCase",
    default,
    deny_unknown_fields,
    expecting = "an object"
)]
pub(super) struct Options {
    /// Connection string of the first cluster.
    #[arg(
        long,
        value_name = "URI",
        env = "TIDEGATE_CLUSTER0",
        hide_env_values = true
    )]
    pub(super) cluster0: Option<String>,

    /// File that holds the connection string of the first cluster.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CLUSTER0_FILE")]
    pub(super) cluster0_file: Option<PathBuf>,

    /// Connection string of the second cluster.
    #[arg(
        long,
        value_name = "URI",
        env = "TIDEGATE_CLUSTER1",
        hide_env_values = true
    )]
    pub(super) cluster1: Option<String>,

    /// File that holds the connection string of the second cluster.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CLUSTER1_FILE")]
    pub(super) cluster1_file: Option<PathBuf>,

    /// Port of the HTTP API [default: 27182].
    #[arg(
        long,
        value_name = "PORT",
        env = "TIDEGATE_PORT",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "number")]
    pub(super) port: Option<i64>,

    /// Directory for log files; without it, logs go to standard output.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_LOG_PATH")]
    pub(super) log_path: Option<PathBuf>,

    /// TRACE, DEBUG, INFO, WARN or ERROR [default: INFO].
    #[arg(long, value_name = "LEVEL", env = "TIDEGATE_VERBOSITY")]
    pub(super) verbosity: Option<String>,

    /// How hard the sync works both clusters, 1 to 4 [default: 3].
    #[arg(
        long,
        value_name = "LEVEL",
        env = "TIDEGATE_LOAD_LEVEL",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "number")]
    pub(super) load_level: Option<i64>,

    /// Name of this instance, shown as mongosyncID [default: coordinator].
    #[arg(long, value_name = "ID", env = "TIDEGATE_ID")]
    pub(super) id: Option<String>,

    /// Directory to read the feature set from, in place of the built-in one.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_FEATURE_SET")]
    pub(super) feature_set: Option<PathBuf>,

    /// Directory of files that configurations of plugins refer to as {"$secret": "FILE"}. Since v0.3.1.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_SECRETS_DIR")]
    pub(super) secrets_dir: Option<PathBuf>,

    /// Plugins that import WASI, as those in Python and JavaScript do: "deny" runs them against
    /// a WASI that grants nothing, "refuse" [default: deny]. Since v0.1.1.
    #[arg(
        long = "plugin-wasi",
        alias = "pluginWasi",
        value_name = "POLICY",
        env = "TIDEGATE_PLUGIN_WASI"
    )]
    pub(super) plugin_wasi: Option<String>,

    /// Time after which another host takes over the sync of a dead host, in seconds, 2 to 300
    /// [default: 5]. Since v0.2.0.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "TIDEGATE_LEASE_SECONDS",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "number")]
    pub(super) lease_seconds: Option<i64>,

    /// File with the hooks: programs and web servers that receive occurrences of the sync (docs/hooks.md). Since v0.5.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_HOOKS_FILE")]
    pub(super) hooks_file: Option<PathBuf>,

    /// OpenTelemetry collector that receives traces and metrics (OTLP over HTTP), such as http://localhost:4318. Since
    /// v0.6.0.
    #[arg(long, value_name = "URL", env = "TIDEGATE_OTLP_ENDPOINT")]
    pub(super) otlp_endpoint: Option<String>,
    /// Address on which the API listens; another than a loopback address needs TLS and callers [default: 127.0.0.1].
    /// Since v0.6.0.
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_BIND")]
    pub(super) bind: Option<String>,

    /// File (PEM) with the certificate chain and the key of the API; it then speaks HTTPS alone. Since v0.6.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TLS_CERTIFICATE_KEY_FILE")]
    pub(super) tls_certificate_key_file: Option<PathBuf>,

    /// File (PEM) with the authorities of client certificates. Since v0.6.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TLS_CLIENT_CA_FILE")]
    pub(super) tls_client_ca_file: Option<PathBuf>,

    /// File with the callers of the API: their tokens or certificate subjects, and their roles. Since v0.6.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TOKENS_FILE")]
    pub(super) tokens_file: Option<PathBuf>,

    /// More names of this server, separated by commas, that the header `Host` may hold. Since v0.6.0.
    #[arg(
        long,
        value_name = "NAMES",
        env = "TIDEGATE_ALLOWED_HOSTS",
        value_delimiter = ','
    )]
    pub(super) allowed_hosts: Option<Vec<String>>,

    /// Accepted for mongosync's scripts; there is no disclaimer.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(super) accept_disclaimer: Option<bool>,

    /// Accepted for mongosync's scripts; there is no telemetry.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(super) disable_telemetry: Option<bool>,

    /// Accepted for mongosync's scripts; the field verification of a start decides. Since v0.3.1.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(super) disable_verification: Option<bool>,

    /// Accepted for mongosync's scripts; metrics are at GET /metrics. Since v0.3.1.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(super) disable_metrics_logging: Option<bool>,

    /// Accepted for mongosync's scripts; metrics are at GET /metrics. Since v0.3.1.
    #[arg(long, value_name = "DIR")]
    pub(super) metrics_logging_filepath: Option<PathBuf>,

    /// Accepted for mongosync's scripts; capped collections are always synced. Since v0.6.0.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(super) enable_capped_collection_handling: Option<bool>,

    /// Accepted for mongosync's scripts; has no effect. Since v0.6.0.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    #[serde(deserialize_with = "number")]
    pub(super) create_indexes_batch_size: Option<i64>,

    /// Not in this release. Since v0.3.1.
    #[arg(long = "hotDocIDs", value_name = "IDS", hide = true)]
    #[serde(rename = "hotDocIDs")]
    pub(super) hot_doc_ids: Option<IgnoredValue>,
}

impl Options {
    /// These options, completed by those of `other`. A connection string and its file count as the same
    /// option.
    pub(super) fn or(self, other: Self) -> Self {
        let (cluster0, cluster0_file) = either(
            (self.cluster0, self.cluster0_file),
            (other.cluster0, other.cluster0_file),
        );
        let (cluster1, cluster1_file) = either(
            (self.cluster1, self.cluster1_file),
            (other.cluster1, other.cluster1_file),
        );
        Self {
            cluster0,
            cluster0_file,
            cluster1,
            cluster1_file,
            port: self.port.or(other.port),
            log_path: self.log_path.or(other.log_path),
            verbosity: self.verbosity.or(other.verbosity),
            load_level: self.load_level.or(other.load_level),
            id: self.id.or(other.id),
            feature_set: self.feature_set.or(other.feature_set),
            secrets_dir: self.secrets_dir.or(other.secrets_dir),
            plugin_wasi: self.plugin_wasi.or(other.plugin_wasi),
            lease_seconds: self.lease_seconds.or(other.lease_seconds),
            hooks_file: self.hooks_file.or(other.hooks_file),
            otlp_endpoint: self.otlp_endpoint.or(other.otlp_endpoint),
            bind: self.bind.or(other.bind),
            tls_certificate_key_file: (self.tls_certificate_key_file)
                .or(other.tls_certificate_key_file),
            tls_client_ca_file: self.tls_client_ca_file.or(other.tls_client_ca_file),
            tokens_file: self.tokens_file.or(other.tokens_file),
            allowed_hosts: self.allowed_hosts.or(other.allowed_hosts),
            accept_disclaimer: self.accept_disclaimer.or(other.accept_disclaimer),
            disable_telemetry: self.disable_telemetry.or(other.disable_telemetry),
            disable_verification: self.disable_verification.or(other.disable_verification),
            disable_metrics_logging: self
                .disable_metrics_logging
                .or(other.disable_metrics_logging),
            metrics_logging_filepath: self
                .metrics_logging_filepath
                .or(other.metrics_logging_filepath),
            enable_capped_collection_handling: self
                .enable_capped_collection_handling
                .or(other.enable_capped_collection_handling),
            create_indexes_batch_size: self
                .create_indexes_batch_size
                .or(other.create_indexes_batch_size),
            hot_doc_ids: self.hot_doc_ids.or(other.hot_doc_ids),
        }
    }
}

type UriOrFile = (Option<String>, Option<PathBuf>);

fn either(first: UriOrFile, second: UriOrFile) -> UriOrFile {
    if first.0.is_some() || first.1.is_some() {
        first
    } else {
        second
    }
}
