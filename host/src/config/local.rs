//! The commands that ask the host of this machine: `tidegate health` and `tidegate status`.

use std::time::Duration;

use super::file::read_file;
use super::host::DEFAULT_PORT;
use super::local_arguments::{HealthArguments, LocalHostArguments, StatusArguments};
use super::refusals::in_range;
use crate::model::OperatorError;

/// Time for an answer: the API answers at once, also while clusters are silent.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The host of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalHost {
    /// Port of its API on 127.0.0.1.
    pub port: u16,
    /// Time for an answer.
    pub timeout: Duration,
}

/// `tidegate health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCommand {
    /// Ask `/readyz` in place of `/healthz`.
    pub ready: bool,
    /// The host to ask.
    pub host: LocalHost,
}

/// `tidegate status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let port = arguments.port.or(file.and_then(|options| options.port));
        Ok(Self {
            port: match port {
                None => DEFAULT_PORT,
                // A host with port 0 has a port that only its log names.
                Some(port) => in_range("port", port, 1, u16::MAX)?,
            },
            timeout: arguments.timeout.unwrap_or(TIMEOUT),
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
