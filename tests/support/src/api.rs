//! The host's HTTP API as the tests call it, and its progress as they read it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// No call takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// No call of a host that is well takes longer.
const CALL: Duration = Duration::from_secs(10);

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The stable name of a refusal.
    pub fn error(&self) -> &str {
        self.body
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

pub fn can_commit(progress: &Value) -> bool {
    progress.get("canCommit") == Some(&Value::Bool(true))
}

/// A text field of the progress; empty if missing.
pub fn text<'a>(progress: &'a Value, field: &str) -> &'a str {
    progress
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A number of the progress by JSON pointer; 0 if missing.
pub fn number(progress: &Value, pointer: &str) -> u64 {
    progress
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or(0)
}

/// Calls a host, which may hang or be gone.
pub(crate) async fn call(port: u16, method: &str, path: &str, body: &str) -> Result<Answer> {
    send(port, method, path, body.to_owned().into_bytes()).await
}

/// The same, with any body.
pub(crate) async fn send(port: u16, method: &str, path: &str, body: Vec<u8>) -> Result<Answer> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let method = method.to_owned();
    let answer = tokio::task::spawn_blocking(move || request(&method, &url, body));
    let answer = tokio::time::timeout(CALL, answer).await;
    answer.context("no answer of a host")??
}

/// Calls a host, which has to answer success.
pub(crate) async fn post(port: u16, path: &str, body: &Value) -> Result<Value> {
    let answer = call(port, "POST", path, &body.to_string()).await?;
    if answer.status != 200 {
        bail!("{path} answers {}: {}", answer.status, answer.body);
    }
    Ok(answer.body)
}

/// A summary of a progress for failure messages.
pub(crate) fn brief(progress: &Value) -> String {
    const FIELDS: [&str; 7] = [
        "state",
        "info",
        "canCommit",
        "canCommitReason",
        "warnings",
        "positions",
        "lease",
    ];
    let shown = FIELDS.map(|field| match progress.get(field) {
        Some(value) => format!("{field}: {value}"),
        None => String::new(),
    });
    shown.join("; ")
}

/// A request on its own connection: a kept connection may have been closed by the host.
pub(crate) fn request(method: &str, url: &str, body: Vec<u8>) -> Result<Answer> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .max_idle_connections(0)
        .build()
        .into();
    let request = ureq::http::Request::builder().method(method).uri(url);
    let answered = if body.is_empty() {
        agent.run(request.body(())?)
    } else {
        agent.run(request.body(body)?)
    };
    let mut response = answered.with_context(|| format!("{method} {url}"))?;
    let text = response
        .body_mut()
        .read_to_string()
        .context("read an answer")?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        status: response.status().as_u16(),
        body,
    })
}
