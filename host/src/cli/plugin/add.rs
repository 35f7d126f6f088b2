//! `tidegate plugin add`: uploads a plugin to a running tidegate, which checks and stores it. Activates nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::credentials::{bearer, trust};
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
    let answer = post(arguments, &component)?;
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

fn post(arguments: &command::AddArgs, component: &[u8]) -> Result<Value> {
    let (scheme, host) = match arguments.host.split_once("://") {
        Some((scheme, host)) => (scheme, host.trim_end_matches('/')),
        None => ("http", arguments.host.as_str()),
    };
    let place = format!("{host}:{}", arguments.port);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .tls_config(trust(arguments.ca_file.as_deref())?)
        .build()
        .into();
    let mut request = agent
        .post(format!("{scheme}://{place}/api/v1/plugins"))
        .content_type("application/wasm");
    if let Some(file) = &arguments.token_file {
        request = request.header("Authorization", bearer(file)?);
    }
    let mut response = request.send(component).with_context(|| {
        format!("no tidegate answers at {place} ({scheme}); start one, or give --host and --port")
    })?;
    let text = response
        .body_mut()
        .read_to_string()
        .context("read the answer")?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
