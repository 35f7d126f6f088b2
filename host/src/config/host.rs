//! The configuration of a host, checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::collector::CollectorOptions;
use super::connection_string::ConnectionString;
use super::hooks::{self, HookOptions};
use super::options::Options;
use super::protection::ProtectionOptions;
use super::refusals::{in_range, invalid};
use super::registry_access::RegistryAccess;
use crate::model::input::closest;
use crate::model::plugins::PluginLogs;
use crate::model::{ErrorName, OperatorError};

/// mongosync's port.
pub(super) const DEFAULT_PORT: u16 = 27182;
const DEFAULT_LOAD_LEVEL: u8 = 3;
const DEFAULT_LEASE_SECONDS: u16 = 5;
/// Limits of the lease: a busy machine cannot renew a shorter lease in time, and a takeover waits for the whole
/// lease.
const LEASE_SECONDS: (u16, u16) = (2, 300);
/// mongosync's name of a single instance.
const DEFAULT_ID: &str = "coordinator";
const VERBOSITIES: [&str; 7] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "PANIC"];

/// Configuration of a host. `Debug` masks secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Connection string of the first cluster. `/start` names the source and the destination.
    pub cluster0: ConnectionString,
    /// Connection string of the second cluster.
    pub cluster1: ConnectionString,
    /// TCP port of the HTTP API; 0 takes a free port.
    pub port: u16,
    /// Address and protection of the HTTP API.
    pub protection: ProtectionOptions,
    /// Directory of log files; `None` for logs on standard output.
    pub log_path: Option<PathBuf>,
    /// Least severe level in the log.
    pub verbosity: LevelFilter,
    /// Load on both clusters, from 1 to 4 (mongosync's `loadLevel`). It sets the number of parallel tasks.
    pub load_level: u8,
    /// Name of the host: `mongosyncID` in `/progress`, and `instance` in the lease.
    pub id: String,
    /// Directory of the feature set; `None` for the embedded feature set.
    pub feature_set: Option<PathBuf>,
    /// Directory of the plugins' secrets.
    pub secrets_dir: Option<PathBuf>,
    /// Access to registries of components.
    pub registry: RegistryAccess,
    /// True to refuse plugins that import WASI; false to run them with a WASI that grants nothing.
    pub refuse_wasi: bool,
    /// Log lines that plugins may write.
    pub plugin_logs: PluginLogs,
    /// Duration of the lease without a renewal.
    pub lease: Duration,
    /// Receivers of the sync's occurrences.
    pub hooks: Vec<HookOptions>,
    /// Receiver of traces and metrics.
    pub otlp: Option<CollectorOptions>,
}

impl Config {
    pub(super) fn check(mut options: Options) -> Result<Self, OperatorError> {
        let protection = ProtectionOptions::check(&mut options)?;
        let otlp = CollectorOptions::check(&mut options)?;
        let registry = RegistryAccess::check(&mut options)?;
        if options.hot_doc_ids.is_some() {
            return Err(OperatorError::new(
                ErrorName::NotSupported,
                "This release does not support 'hotDocIDs': documents that change often are followed like all other \
                 documents, and none waits for commit. Leave the option out.",
            ));
        }
        if let Some(size) = options.create_indexes_batch_size {
            in_range("createIndexesBatchSize", size, 1, 64_u8)?;
        }
        Ok(Self {
            cluster0: connection_string("cluster0", options.cluster0, options.cluster0_file)?,
            cluster1: connection_string("cluster1", options.cluster1, options.cluster1_file)?,
            port: match options.port {
                None => DEFAULT_PORT,
                Some(port) => in_range("port", port, 0, u16::MAX)?,
            },
            protection,
            log_path: options.log_path,
            verbosity: match options.verbosity {
                None => LevelFilter::INFO,
                Some(level) => verbosity(&level)?,
            },
            load_level: match options.load_level {
                None => DEFAULT_LOAD_LEVEL,
                Some(level) => in_range("loadLevel", level, 1, 4)?,
            },
            id: options.id.unwrap_or_else(|| DEFAULT_ID.to_owned()),
            feature_set: directory("featureSet", options.feature_set)?,
            secrets_dir: directory("secretsDir", options.secrets_dir)?,
            registry,
            refuse_wasi: refuses_wasi(options.plugin_wasi.as_deref())?,
            plugin_logs: plugin_logs(options.plugin_logs.as_deref())?,
            lease: lease(options.lease_seconds)?,
            hooks: hooks::read(options.hooks_file.as_deref())?,
            otlp,
        })
    }

    /// Names of the options that differ in `read` and that only a restart changes.
    pub fn differing_at_restart(&self, read: &Self) -> Vec<&'static str> {
        let endpoint = |of: &Self| of.otlp.as_ref().map(|otlp| otlp.endpoint.clone());
        let headers_file = |of: &Self| of.otlp.as_ref().and_then(|otlp| otlp.headers_file.clone());
        let differing = [
            ("cluster0", self.cluster0 != read.cluster0),
            ("cluster1", self.cluster1 != read.cluster1),
            ("port", self.port != read.port),
            ("logPath", self.log_path != read.log_path),
            ("loadLevel", self.load_level != read.load_level),
            ("id", self.id != read.id),
            ("featureSet", self.feature_set != read.feature_set),
            ("pluginWasi", self.refuse_wasi != read.refuse_wasi),
            ("pluginLogs", self.plugin_logs != read.plugin_logs),
            ("leaseSeconds", self.lease != read.lease),
            ("hooksFile", self.hooks != read.hooks),
            ("otlpEndpoint", endpoint(self) != endpoint(read)),
            ("otlpHeadersFile", headers_file(self) != headers_file(read)),
        ];
        let differing = (differing.into_iter()).chain(self.protection.differing(&read.protection));
        let named = differing.filter(|(_, differs)| *differs);
        named.map(|(name, _)| name).collect()
    }

    /// Logs the configuration without secrets.
    pub fn log(&self) {
        tracing::info!(
            cluster0 = %self.cluster0,
            cluster1 = %self.cluster1,
            bind = %self.protection.bind,
            port = self.port,
            tls = self.protection.tls.is_some(),
            tokens_file = self.protection.tokens_file.as_ref().map(|path| tracing::field::display(path.display())),
            allowed_hosts = self.protection.allowed_hosts.join(", "),
            log_path = self.log_path.as_ref().map(|path| tracing::field::display(path.display())),
            verbosity = %self.verbosity,
            load_level = self.load_level,
            id = self.id,
            feature_set = self.feature_set.as_ref().map(|path| tracing::field::display(path.display())),
            secrets_dir = self.secrets_dir.as_ref().map(|path| tracing::field::display(path.display())),
            registry_auth_file = self.registry.auth_file.as_ref().map(|path| tracing::field::display(path.display())),
            registry_ca_file = self.registry.ca_file.as_ref().map(|path| tracing::field::display(path.display())),
            plugin_trust = self.registry.trust_file.as_ref().map(|path| tracing::field::display(path.display())),
            plugin_wasi = if self.refuse_wasi { "refuse" } else { "deny" },
            plugin_logs = self.plugin_logs.as_str(),
            lease_seconds = self.lease.as_secs(),
            hooks = self.hooks.iter().map(|hook| hook.name.as_str()).collect::<Vec<_>>().join(", "),
            otlp_endpoint = self.otlp.as_ref().map(|otlp| otlp.endpoint.as_str()),
            "effective configuration"
        );
    }
}

fn lease(seconds: Option<i64>) -> Result<Duration, OperatorError> {
    let (least, most) = LEASE_SECONDS;
    let seconds = match seconds {
        None => DEFAULT_LEASE_SECONDS,
        Some(seconds) => in_range("leaseSeconds", seconds, least, most)?,
    };
    Ok(Duration::from_secs(seconds.into()))
}

fn refuses_wasi(policy: Option<&str>) -> Result<bool, OperatorError> {
    match policy {
        None | Some("deny") => Ok(false),
        Some("refuse") => Ok(true),
        Some(other) => Err(invalid(format!(
            "plugin-wasi '{other}' is neither deny nor refuse."
        ))),
    }
}

fn plugin_logs(level: Option<&str>) -> Result<PluginLogs, OperatorError> {
    let Some(level) = level else {
        return Ok(PluginLogs::default());
    };
    let known = [PluginLogs::Off, PluginLogs::Warn, PluginLogs::Info];
    let found = known.into_iter().find(|logs| logs.as_str() == level);
    found.ok_or_else(|| {
        invalid(format!(
            "pluginLogs '{level}' is none of off, warn and info."
        ))
    })
}

fn connection_string(
    name: &str,
    uri: Option<String>,
    file: Option<PathBuf>,
) -> Result<ConnectionString, OperatorError> {
    let uri = match (uri, file) {
        (Some(_), Some(_)) => {
            return Err(invalid(format!(
                "Both {name} and {name}File are given. Give one of them."
            )));
        }
        (Some(uri), None) => uri,
        (None, Some(path)) => read_uri(name, &path)?,
        (None, None) => {
            let variable = name.to_uppercase();
            return Err(invalid(format!(
                "The connection string {name} is missing. Give --{name}, --{name}File, \
                 the environment variable TIDEGATE_{variable}, or {name} in the configuration file."
            )));
        }
    };
    if uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://") {
        Ok(ConnectionString::new(uri))
    } else {
        Err(OperatorError::new(
            ErrorName::InvalidUri,
            format!(
                "The connection string {name} does not begin with mongodb:// or mongodb+srv://."
            ),
        ))
    }
}

fn read_uri(name: &str, path: &Path) -> Result<String, OperatorError> {
    let text = fs::read_to_string(path).map_err(|error| {
        invalid(format!(
            "{name}File '{}' cannot be read: {error}.",
            path.display()
        ))
    })?;
    Ok(text.trim().to_owned())
}

/// mongosync's levels; its two above ERROR show what ERROR shows.
fn verbosity(level: &str) -> Result<LevelFilter, OperatorError> {
    match level.to_uppercase().as_str() {
        "TRACE" => Ok(LevelFilter::TRACE),
        "DEBUG" => Ok(LevelFilter::DEBUG),
        "INFO" => Ok(LevelFilter::INFO),
        "WARN" => Ok(LevelFilter::WARN),
        "ERROR" | "FATAL" | "PANIC" => Ok(LevelFilter::ERROR),
        _ => {
            let hint = closest(level, &VERBOSITIES)
                .map_or_else(String::new, |known| format!(" Did you mean {known}?"));
            Err(invalid(format!(
                "verbosity is '{level}', which is not one of {}.{hint}",
                VERBOSITIES.join(", ")
            )))
        }
    }
}

fn directory(name: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, OperatorError> {
    path.map(|path| existing_directory(name, path)).transpose()
}

pub(super) fn existing_directory(name: &str, path: PathBuf) -> Result<PathBuf, OperatorError> {
    if path.is_dir() {
        Ok(path)
    } else {
        Err(invalid(format!(
            "{name} '{}' is not a directory.",
            path.display()
        )))
    }
}
