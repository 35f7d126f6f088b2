//! The commands that ask the host of this machine: `tidegate health` and `tidegate status`.

use std::path::PathBuf;
use std::time::Duration;

use super::file::read_file;
use super::host::DEFAULT_PORT;
use super::local_arguments::{HealthArguments, LocalHostArguments, StatusArguments};
use super::refusals::in_range;
use crate::model::OperatorError;

/// Time for an answer: the API answers at once, also while clusters are silent.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The host of this machine, or another that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHost {
    /// Scheme, name and port of its API, such as `http://127.0.0.1:27182`.
    pub address: String,
    /// Time for an answer.
    pub timeout: Duration,
    /// File with a token.
    pub token_file: Option<PathBuf>,
    /// File with the authorities of the host's certificate.
    pub ca_file: Option<PathBuf>,
    /// Whether the host is this machine's, with TLS: its certificate is for another name than 127.0.0.1.
    pub is_own_certificate: bool,
}

/// `tidegate health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCommand {
    /// Ask `/readyz` in place of `/healthz`.
    pub ready: bool,
    /// The host to ask.
    pub host: LocalHost,
}

/// `tidegate status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCommand {
    /// Show it again each second.
    pub watch: bool,
    /// Print JSON.
    pub json: bool,
    /// The host to ask.
    pub host: LocalHost,
}

impl LocalHost {
    fn check(arguments: LocalHostArguments) -> Result<Self, OperatorError> {
        let file = arguments.config.as_deref().map(read_file).transpose()?;
        let of_file = file.as_ref().and_then(|options| options.port);
        let port = match arguments.port.or(of_file) {
            None => DEFAULT_PORT,
            // A host with port 0 has a port that only its log names.
            Some(port) => in_range("port", port, 1, u16::MAX)?,
        };
        let of_file = file.and_then(|options| options.tls_certificate_key_file);
        let has_tls = arguments.certificate_key_file.or(of_file).is_some();
        let is_own_certificate = has_tls && arguments.host.is_none();
        let place = match (arguments.host, is_own_certificate) {
            (None, true) => "https://127.0.0.1".to_owned(),
            (None, false) => "http://127.0.0.1".to_owned(),
            (Some(host), _) if host.contains("://") => host.trim_end_matches('/').to_owned(),
            (Some(host), _) => format!("http://{host}"),
        };
        Ok(Self {
            address: format!("{place}:{port}"),
            timeout: arguments.timeout.unwrap_or(TIMEOUT),
            token_file: arguments.token_file,
            ca_file: arguments.ca_file,
            is_own_certificate,
        })
    }
}

impl HealthCommand {
    pub(super) fn check(arguments: HealthArguments) -> Result<Self, OperatorError> {
        Ok(Self {
            ready: arguments.ready,
            host: LocalHost::check(arguments.host)?,
        })
    }
}

impl StatusCommand {
    pub(super) fn check(arguments: StatusArguments) -> Result<Self, OperatorError> {
        Ok(Self {
            watch: arguments.watch,
            json: arguments.json,
            host: LocalHost::check(arguments.host)?,
        })
    }
}
