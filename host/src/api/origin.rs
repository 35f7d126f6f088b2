//! Check of the headers `Host` and `Origin`, which keeps web pages of others away from the API.
//!
//! A web page can make a browser call this server, with the credentials that the browser knows. It cannot choose `Host`,
//! which is the page's own name after DNS rebinding, and it cannot remove `Origin` from a POST. So `Host` must be a name
//! of this server, and the `Origin` of a state-changing call, where present, must be the same host.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::Refusal;
use super::protection::Protection;
use crate::model::ErrorName;

/// Middleware that refuses requests of foreign hosts and origins as `HostNotAllowed`, before their body is read.
pub(super) async fn admit(
    State(protection): State<Arc<Protection>>,
    request: Request,
    next: Next,
) -> Response {
    match check(&protection, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(protection: &Protection, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let host = text(header::HOST).unwrap_or("");
    if !protection.is_own_name(name(host)) {
        return Err(Refusal::new(
            ErrorName::HostNotAllowed,
            format!(
                "The Host header '{host}' is not a name of this server. Call localhost or an address of it, or add the \
                 name to allowedHosts."
            ),
        ));
    }
    match text(header::ORIGIN) {
        Some(origin) if !method.is_safe() && !is_origin_of(origin, host) => Err(Refusal::new(
            ErrorName::HostNotAllowed,
            format!(
                "A page of '{origin}' may not change a sync. Call from this server's own origin."
            ),
        )),
        _ => Ok(()),
    }
}

/// The name or address in a `Host` header. Any port is accepted: a tunnel may map it.
fn name(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default()
}

fn is_origin_of(origin: &str, host: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, place)| place.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProtectionOptions;

    fn protection(bind: &str, allowed: &[&str]) -> Protection {
        let tls = None;
        Protection::load(ProtectionOptions {
            bind: bind.parse().expect("an address"),
            tls,
            tokens_file: None,
            allowed_hosts: allowed.iter().map(ToString::to_string).collect(),
        })
        .expect("a protection")
    }

    #[test]
    fn only_names_of_this_server_are_this_server() {
        for (host, loopback, elsewhere) in [
            ("localhost:27182", true, true),
            ("LOCALHOST", true, true),
            ("127.0.0.1:8080", true, true),
            ("[::1]:27182", true, true),
            ("10.0.0.1:27182", false, true),
            ("[2001:db8::1]:27182", false, true),
            ("sync.example:27182", false, true),
            ("SYNC.example", false, true),
            ("evil.example:27182", false, false),
            ("localhost.evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("", false, false),
        ] {
            let local = protection("127.0.0.1", &[]);
            assert_eq!(local.is_own_name(name(host)), loopback, "{host}");
            let public = protection("0.0.0.0", &["sync.example"]);
            assert_eq!(public.is_own_name(name(host)), elsewhere, "{host}");
        }
    }

    #[test]
    fn an_origin_counts_for_state_changing_calls() {
        let headers = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:27182".parse().expect("a value"));
            headers.insert(header::ORIGIN, origin.parse().expect("a value"));
            headers
        };
        let protection = protection("127.0.0.1", &[]);
        for (origin, allowed) in [
            ("http://localhost:27182", true),
            ("http://localhost:1", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            assert_eq!(
                check(&protection, &Method::POST, &headers(origin)).is_ok(),
                allowed,
                "{origin}"
            );
            assert!(check(&protection, &Method::GET, &headers(origin)).is_ok());
        }
    }
}
