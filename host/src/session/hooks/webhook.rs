//! Webhooks: an occurrence as an HTTP request.
//!
//! The client blocks, so each request has a thread of its own. Such a thread does not delay the end of the process.

use std::{fmt::Write as _, fs, io, thread, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::oneshot;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::reply::{HookReply, MAX_REPLY_BYTES, reason};
use crate::{config::WebhookOptions, observe};

/// Header with the HMAC-SHA256 of the body, in hex, under the key of the secret file.
const SIGNATURE: &str = "X-Tidegate-Signature-256";

/// Status of a veto.
const CONFLICT: u16 = 409;

/// Posts a body. Redirects are not followed: the body is meant for the named server alone.
///
/// # Errors
/// The reason for the lack of an answer. It does not hold the URL, whose path can be a secret.
pub(super) async fn post(
    options: &WebhookOptions,
    body: Vec<u8>,
    limit: Duration,
) -> Result<HookReply, String> {
    let options = options.clone();
    let (answer, answered) = oneshot::channel();
    let request = move || {
        // A dropped receiver means that the host no longer needs the answer.
        let _ = answer.send(request(&options, &body, limit));
    };
    thread::Builder::new()
        .name("hook".to_owned())
        .spawn(request)
        .map_err(|error| format!("no thread could be started: {error}"))?;
    answered
        .await
        .unwrap_or_else(|_dropped| Err("the request has panicked".to_owned()))
}

fn request(options: &WebhookOptions, body: &[u8], limit: Duration) -> Result<HookReply, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(limit))
        .tls_config(tls(options)?)
        .user_agent(format!("tidegate/{}", observe::VERSION))
        .build()
        .into();
    let mut request = agent
        .post(options.url.reveal())
        .content_type("application/json");
    if let Some(file) = &options.secret_file {
        let key = fs::read(file).map_err(|error| format!("its secret cannot be read: {error}"))?;
        request = request.header(SIGNATURE, signature(key.trim_ascii(), body)?);
    }
    let mut response = request.send(body).map_err(|error| fault(&error, limit))?;
    match response.status().as_u16() {
        200..300 => Ok(HookReply::Accepted),
        CONFLICT => {
            let limit = u64::try_from(MAX_REPLY_BYTES).unwrap_or(u64::MAX);
            let answer = response.body_mut().with_config().limit(limit);
            let answer = answer.read_to_string().unwrap_or_default();
            Ok(HookReply::Vetoed(reason(&objection(&answer))))
        }
        status => Err(format!("it answered with status {status}")),
    }
}

/// The field `reason` of a JSON answer; otherwise the text of the answer.
fn objection(answer: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let field = json.get("reason").and_then(serde_json::Value::as_str);
    field.unwrap_or(answer).to_owned()
}

fn tls(options: &WebhookOptions) -> Result<TlsConfig, String> {
    let Some(file) = &options.ca_file else {
        return Ok(TlsConfig::default());
    };
    let unreadable = |why: &dyn std::fmt::Display| format!("its caFile cannot be read: {why}");
    let pem = fs::read(file).map_err(|error| unreadable(&error))?;
    let mut authorities: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unreadable(&error))? {
            authorities.push(certificate);
        }
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(authorities))
        .build())
}

/// `sha256=` and the HMAC of the body, in hex.
fn signature(key: &[u8], body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| format!("its secret is no key: {error}"))?;
    mac.update(body);
    let code = mac.finalize().into_bytes();
    Ok(code.iter().fold("sha256=".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// An error in words of ours: the client's can hold the URL.
fn fault(error: &ureq::Error, limit: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", limit.as_secs()),
        ureq::Error::HostNotFound => "its host is unknown".to_owned(),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "the connection is refused".to_owned()
        }
        ureq::Error::Io(error) => format!("the connection failed: {}", error.kind()),
        ureq::Error::Rustls(error) => format!("TLS failed: {error}"),
        ureq::Error::Tls(error) => format!("TLS failed: {error}"),
        _ => "the request failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second test case of RFC 4231.
    #[test]
    fn a_body_is_signed_with_hmac_sha_256() {
        let signed = signature(b"Jefe", b"what do ya want for nothing?");
        let code = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signed, Ok(format!("sha256={code}")));
    }

    #[test]
    fn an_objection_is_a_field_or_a_text() {
        assert_eq!(objection(r#"{"reason": "backup runs"}"#), "backup runs");
        assert_eq!(objection("backup runs"), "backup runs");
    }
}
