//! `tidegate health`: whether the host on this machine is healthy, for the probes of container images.

use std::io::{self, Write};

use serde_json::Value;

use super::api_client::{ApiAnswer, ApiClient};
use super::status::CommandStatus;
use crate::config::HealthCommand;

/// Asks the host, and prints its answer in one line: to standard output if the host is healthy, otherwise to standard
/// error.
///
/// # Errors
///
/// The line cannot be printed, or a file of the options cannot be read.
pub fn health(command: HealthCommand) -> anyhow::Result<CommandStatus> {
    let path = if command.ready { "/readyz" } else { "/healthz" };
    let answer = ApiClient::new(command.host)?.get(path);
    match answer.and_then(|answer| judge(&answer, command.ready)) {
        Ok(line) => {
            writeln!(io::stdout(), "{line}")?;
            Ok(CommandStatus::Success)
        }
        Err(reason) => {
            writeln!(io::stderr(), "tidegate: {reason}")?;
            Ok(CommandStatus::Failure)
        }
    }
}

/// The line of a healthy host, or the reason why it is not.
fn judge(answer: &ApiAnswer, ready: bool) -> Result<String, String> {
    let field = |name| answer.body.get(name).and_then(Value::as_str);
    if !answer.status.is_success() {
        let reason = field("reason").or_else(|| field("errorDescription"));
        let reason = reason.map_or_else(|| format!("status {}", answer.status), str::to_owned);
        return Err(format!("not ready: {reason}"));
    }
    if !ready {
        return Ok("alive".to_owned());
    }
    // Any other server may listen on the port.
    let role = field("role").ok_or("no tidegate listens there: the answer has no role")?;
    Ok(match field("state") {
        Some(state) => format!("ready: {role}, {state}"),
        None => format!("ready: {role}"),
    })
}
