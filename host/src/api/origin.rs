//! Check of the headers `Host` and `Origin`, which keeps web pages away from the loopback API.
//!
//! A web page can make a browser call 127.0.0.1. It cannot choose `Host`, which is the page's own name after DNS
//! rebinding, and it cannot remove `Origin` from a POST. So `Host` must be a loopback name, and the `Origin` of a
//! state-changing call, where present, must be the same host.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::Refusal;
use crate::model::ErrorName;

/// Middleware that refuses requests of foreign hosts and origins as `HostNotAllowed`, before their body is read.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    match check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let host = text(header::HOST).unwrap_or("");
    if !is_loopback(host) {
        return Err(Refusal::new(
            ErrorName::HostNotAllowed,
            format!(
                "The Host header '{host}' is not a loopback name. Call localhost or 127.0.0.1."
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

/// Whether `host` is `localhost` or a loopback address. Any port is accepted: a tunnel may map it.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn is_origin_of(origin: &str, host: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, place)| place.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_server() {
        for (host, allowed) in [
            ("localhost:27182", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8080", true),
            ("[::1]:27182", true),
            ("evil.example:27182", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:27182", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), allowed, "{host}");
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
        for (origin, allowed) in [
            ("http://localhost:27182", true),
            ("http://localhost:1", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            assert_eq!(
                check(&Method::POST, &headers(origin)).is_ok(),
                allowed,
                "{origin}"
            );
            assert!(check(&Method::GET, &headers(origin)).is_ok());
        }
    }
}
