//! Options of the commands that ask the host of this machine, unchecked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::verify::time;

/// The host of this machine, unchecked.
#[derive(Args, Debug)]
#[command(rename_all = "camelCase")]
pub(super) struct LocalHostArguments {
    /// Host name or address of tidegate; `https://NAME` for a host with TLS [default: 127.0.0.1]. Since v0.6.0.
    #[arg(long, value_name = "HOST")]
    pub(super) host: Option<String>,

    /// File with the token of a caller. Since v0.6.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// File (PEM) with the authorities of the host's certificate [default: the public authorities]. Since v0.6.0.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// The host's own option, as in its environment: if it is set, this machine's host is asked over TLS.
    #[arg(
        long = "tlsCertificateKeyFile",
        value_name = "FILE",
        env = "TIDEGATE_TLS_CERTIFICATE_KEY_FILE",
        hide = true
    )]
    pub(super) certificate_key_file: Option<PathBuf>,

    /// Port of the host's API [default: 27182].
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

    /// The host's configuration file, of which the port and the use of TLS are taken.
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
