//! `tidegate plugin add`: uploads a plugin to a running tidegate, which checks and stores it. Activates nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::status::CommandStatus;
use super::console::Console;
use super::{command, subject};

/// Compiling a component with a language runtime takes many seconds.
const TIMEOUT: Duration = Duration::from_secs(300);

pub(super) fn execute(
    arguments: &command::AddArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let component = subject::read(&arguments.file)?;
    let answer = post(&arguments.host, arguments.port, &component)?;
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let plugin = (
        text("/plugin/name"),
        text("/plugin/version"),
        text("/plugin/digest"),
    );
    if let (Some(name), Some(version), Some(digest)) = plugin {
        console.line(format!("{name} {version} {digest}"))?;
        return Ok(CommandStatus::Success);
    }
    match (text("/error"), text("/errorDescription")) {
        (Some(error), Some(description)) => anyhow::bail!("{error}: {description}"),
        _ => anyhow::bail!(
            "the server at {}:{} is no tidegate that accepts plugins; check --host and --port",
            arguments.host,
            arguments.port
        ),
    }
}

fn post(host: &str, port: u16, component: &[u8]) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let mut response = agent
        .post(format!("http://{host}:{port}/api/v1/plugins"))
        .content_type("application/wasm")
        .send(component)
        .with_context(|| {
            format!("no tidegate answers at {host}:{port}; start one, or give --host and --port")
        })?;
    let text = response
        .body_mut()
        .read_to_string()
        .context("read the answer")?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
