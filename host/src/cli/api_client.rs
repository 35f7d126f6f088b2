//! Calls of the API of the host on this machine. The only place of these commands that knows HTTP.

use std::io;

use serde_json::Value;
use ureq::http::StatusCode;

use crate::config::LocalHost;

/// A client of one host.
pub(super) struct ApiClient {
    agent: ureq::Agent,
    host: LocalHost,
}

/// An answer of the host.
pub(super) struct ApiAnswer {
    pub(super) status: StatusCode,
    /// Null for a body that is no JSON.
    pub(super) body: Value,
}

impl ApiClient {
    /// A client without a connection.
    pub(super) fn new(host: LocalHost) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Only this machine is called, which a proxy of the environment does not serve.
            .proxy(None)
            .timeout_global(Some(host.timeout))
            .build()
            .into();
        Self { agent, host }
    }

    /// The answer to a GET.
    ///
    /// # Errors
    ///
    /// A sentence for the operator: nothing listens on the port, or no answer came within the time.
    pub(super) fn get(&self, path: &str) -> Result<ApiAnswer, String> {
        let port = self.host.port;
        let mut response = self
            .agent
            .get(format!("http://127.0.0.1:{port}{path}"))
            .call()
            .map_err(|error| self.fault(&error))?;
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|error| self.fault(&error))?;
        Ok(ApiAnswer {
            status: response.status(),
            body: serde_json::from_str(&text).unwrap_or_default(),
        })
    }

    fn fault(&self, error: &ureq::Error) -> String {
        let LocalHost { port, timeout } = self.host;
        let fault = match error {
            ureq::Error::Timeout(_) => format!("no answer within {} s", timeout.as_secs_f64()),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "nothing listens there".to_owned()
            }
            error => error.to_string(),
        };
        format!("no tidegate answers at 127.0.0.1:{port}: {fault}")
    }
}
