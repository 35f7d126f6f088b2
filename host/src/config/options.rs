//! Options as an operator gives them, unchecked.
//!
//! A single table serves the command line, the environment and the configuration file, so that the three
//! cannot differ.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::values::{IgnoredValue, number};

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

    /// File with credentials of registries, in the form of Docker's config.json [default: Docker's own file]. Since v0.7.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_REGISTRY_AUTH_FILE")]
    pub(super) registry_auth_file: Option<PathBuf>,

    /// File (PEM) with an authority of registries, in addition to those of the system. Since v0.7.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_REGISTRY_CA_FILE")]
    pub(super) registry_ca_file: Option<PathBuf>,

    /// File that says which components are trusted: keys, names and registries (docs/plugins.md). Since v0.7.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_PLUGIN_TRUST")]
    pub(super) plugin_trust: Option<PathBuf>,

    /// Plugins that import WASI, as those in Python and JavaScript do: "deny" runs them against
    /// a WASI that grants nothing, "refuse" [default: deny]. Since v0.1.1.
    #[arg(
        long = "plugin-wasi",
        alias = "pluginWasi",
        value_name = "POLICY",
        env = "TIDEGATE_PLUGIN_WASI"
    )]
    pub(super) plugin_wasi: Option<String>,

    /// Lines that plugins may write to the log, where they may hold contents of documents: "off", "warn" or
    /// "info" [default: off]. Since v0.8.0.
    #[arg(long, value_name = "LEVEL", env = "TIDEGATE_PLUGIN_LOGS")]
    pub(super) plugin_logs: Option<String>,

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

    /// File with headers for the collector, a `name: value` on each line; read again before each request. Since v0.6.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_OTLP_HEADERS_FILE")]
    pub(super) otlp_headers_file: Option<PathBuf>,

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
            registry_auth_file: self.registry_auth_file.or(other.registry_auth_file),
            registry_ca_file: self.registry_ca_file.or(other.registry_ca_file),
            plugin_trust: self.plugin_trust.or(other.plugin_trust),
            plugin_wasi: self.plugin_wasi.or(other.plugin_wasi),
            plugin_logs: self.plugin_logs.or(other.plugin_logs),
            lease_seconds: self.lease_seconds.or(other.lease_seconds),
            hooks_file: self.hooks_file.or(other.hooks_file),
            otlp_endpoint: self.otlp_endpoint.or(other.otlp_endpoint),
            otlp_headers_file: self.otlp_headers_file.or(other.otlp_headers_file),
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
