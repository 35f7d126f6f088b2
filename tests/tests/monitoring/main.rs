//! Probes, metrics, alert rules and the board, as an operator's tools use them.

mod cli;
mod deploy;
mod metrics;
mod otlp;

use std::process::Command;

use anyhow::{Context, Result};
use support::{Host, host};

/// A command of the binary that has ended.
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

/// Runs the host's binary with these arguments, as for a host on this port.
async fn command(port: u16, arguments: &[&str]) -> Result<Ended> {
    let mut command = Command::new(host::binary()?);
    command
        .args(arguments)
        .env("TIDEGATE_PORT", port.to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.context("run the binary")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended {
        code: output.status.code(),
        output: text(&output.stdout),
        errors: text(&output.stderr),
    })
}

/// A second host with the same arguments.
async fn standby_of(host: &Host) -> Result<Host> {
    let mut arguments = host.arguments().clone();
    arguments.log_path = arguments.log_path.with_file_name("log-standby");
    arguments
        .more
        .extend(["--id".to_owned(), "standby".to_owned()]);
    Host::spawn(arguments).await
}
