//! The commands that ask the host of this machine: `tidegate health` and `tidegate status`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::file::read_file;
use super::host::DEFAULT_PORT;
use super::refusals::in_range;
use super::verify::time;
use crate::model::OperatorError;

/// Time for an answer: the API answers at once, also while clusters are silent.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The host of this machine, unchecked.
#[derive(Args, Debug)]
#[command(rename_all = "camelCase")]
pub(super) struct LocalHostArguments {
    /// Port of the host's API on 127.0.0.1 [default: 27182].
    #[arg(
        long,
        value_name = "PORT",
        env = "TIDEGATE_PORT",
        allow_negative_numbers = true
    )]
    port: Option<i64>,

    /// Time to wait for the answer, such as 500ms or 5s [default: 2s].
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,

    /// The host's configuration file, of which only the port is taken.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
}

/// Options of `tidegate health`, unchecked.
#[derive(Args, Debug)]
#[command(rename_all = "camelCase")]
pub(super) struct HealthArguments {
    /// Ask whether both clusters answer, as `/readyz` does; without it, whether the process answers.
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    host: LocalHostArguments,
}

/// Options of `tidegate status`, unchecked.
#[derive(Args, Debug)]
#[command(rename_all = "camelCase")]
pub(super) struct StatusArguments {
    /// Show it again each second, until ctrl-c.
    #[arg(long)]
    watch: bool,

    /// Print JSON: the verdict and the host's progress.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    host: LocalHostArguments,
}

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

impl LocalHostArguments {
    fn check(self) -> Result<LocalHost, OperatorError> {
        let file = self.config.as_deref().map(read_file).transpose()?;
        let port = self.port.or(file.and_then(|options| options.port));
        Ok(LocalHost {
            port: match port {
                None => DEFAULT_PORT,
                // A host with port 0 has a port that only its log names.
                Some(port) => in_range("port", port, 1, u16::MAX)?,
            },
            timeout: self.timeout.unwrap_or(TIMEOUT),
        })
    }
}

impl HealthArguments {
    pub(super) fn check(self) -> Result<HealthCommand, OperatorError> {
        Ok(HealthCommand {
            ready: self.ready,
            host: self.host.check()?,
        })
    }
}

impl StatusArguments {
    pub(super) fn check(self) -> Result<StatusCommand, OperatorError> {
        Ok(StatusCommand {
            watch: self.watch,
            json: self.json,
            host: self.host.check()?,
        })
    }
}
