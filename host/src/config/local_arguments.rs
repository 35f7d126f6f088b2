//! Options of the commands that ask the host of this machine, unchecked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::verify::time;

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
    pub(super) port: Option<i64>,

    /// Time to wait for the answer, such as 500ms or 5s [default: 2s].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) timeout: Option<Duration>,

    /// The host's configuration file, of which only the port is taken.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

/// Options of `tidegate health`, unchecked.
#[derive(Args, Debug)]
#[command(rename_all = "camelCase")]
pub(super) struct HealthArguments {
    /// Ask whether both clusters answer, as `/readyz` does; without it, whether the process answers.
    #[arg(long)]
    pub(super) ready: bool,

    #[command(flatten)]
    pub(super) host: LocalHostArguments,
}

/// Options of `tidegate status`, unchecked.
#[derive(Args, Debug)]
#[command(rename_all = "camelCase")]
pub(super) struct StatusArguments {
    /// Show it again each second, until ctrl-c.
    #[arg(long)]
    pub(super) watch: bool,

    /// Print JSON: the verdict and the host's progress.
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) host: LocalHostArguments,
}
