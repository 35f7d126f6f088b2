//! Calls of the API of a host, by default of this machine. The only place of these commands that knows HTTP.

use std::io;

use serde_json::Value;
use ureq::http::StatusCode;
use ureq::tls::TlsConfig;

use super::credentials::{bearer, trust};
use crate::config::LocalHost;

/// A client of one host.
pub(super) struct ApiClient {
    agent: ureq::Agent,
    host: LocalHost,
    /// The value of `Authorization`.
    authorization: Option<String>,
}

/// An answer of the host.
pub(super) struct ApiAnswer {
    pub(super) status: StatusCode,
    /// Null for a body that is no JSON.
    pub(super) body: Value,
}

impl ApiClient {
    /// A client without a connection.
    ///
    /// # Errors
    ///
    /// The file of the token or of the authorities cannot be read.
    pub(super) fn new(host: LocalHost) -> anyhow::Result<Self> {
        let authorization = host.token_file.as_deref().map(bearer).transpose()?;
        let tls = match host.is_own_certificate {
            false => trust(host.ca_file.as_deref())?,
            true if authorization.is_some() => anyhow::bail!(
                "a token is sent only to a host whose certificate is checked: give --host https://NAME, the name in the \
                 certificate, and --caFile"
            ),
            // Nothing secret is sent, and the connection does not leave the machine.
            true => TlsConfig::builder().disable_verification(true).build(),
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Redirects would carry the token elsewhere, and a proxy of the environment does not serve this machine.
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(host.timeout))
            .tls_config(tls)
            .build()
            .into();
        Ok(Self {
            agent,
            host,
            authorization,
        })
    }

    /// The answer to a GET.
    ///
    /// # Errors
    ///
    /// A sentence for the operator: nothing listens on the port, or no answer came within the time.
    pub(super) fn get(&self, path: &str) -> Result<ApiAnswer, String> {
        let mut request = self.agent.get(format!("{}{path}", self.host.address));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.call().map_err(|error| self.fault(&error))?;
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|error| self.fault(&error))?;
        Ok(ApiAnswer {
            status: response.status(),
            body: serde_json::from_str(&text).unwrap_or_default(),
        })
    }

    fn fault(&self, error: &ureq::Error) -> String {
        let LocalHost {
            address, timeout, ..
        } = &self.host;
        let place = address.trim_start_matches("http://");
        let fault = match error {
            ureq::Error::Timeout(_) => format!("no answer within {} s", timeout.as_secs_f64()),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "nothing listens there".to_owned()
            }
            error => error.to_string(),
        };
        format!("no tidegate answers at {place}: {fault}")
    }
}
