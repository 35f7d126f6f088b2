//! The admission of a request: its caller, and whether the role of the caller permits the call.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::Protection;
use super::access::needed_role;
use super::peer::Peer;
use crate::api::error::Refusal;
use crate::model::{Caller, ErrorName, Role};

/// Schemes of credentials. Each has a header line of its own: browsers read one scheme a line.
const CHALLENGES: [&str; 2] = ["Bearer realm=\"tidegate\"", "Basic realm=\"tidegate\""];

/// The reason why a request has no caller.
enum Fault {
    /// It has no credentials.
    Missing,
    /// No caller has its token, or its header cannot be read.
    Wrong,
    /// No caller has the subject of its certificate.
    UnknownSubject(String),
    /// Too many wrong tokens came from its address.
    TooMany(Duration),
}

/// Middleware that refuses requests without credentials and role, before their body is read. An admitted request has
/// its [`Caller`] among its extensions, and so has the answer.
pub(in crate::api) async fn admit(
    State(protection): State<Arc<Protection>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(needed) = needed_role(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let peer = request.extensions().get::<Peer>();
    let caller = match protection.caller(request.headers(), peer) {
        Ok(caller) => caller,
        Err(fault) => return fault.into_response(),
    };
    let mut response = if caller.role < needed {
        forbidden(&caller, needed).into_response()
    } else {
        request.extensions_mut().insert(caller.clone());
        next.run(request).await
    };
    response.extensions_mut().insert(caller);
    response
}

impl Protection {
    /// The caller of a request. Credentials of the header decide before a client certificate.
    fn caller(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, Fault> {
        let files = self.files();
        let Some(callers) = &files.callers else {
            return Ok(Caller::local());
        };
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
            let now = Instant::now();
            if let Some(wait) = self.attempts.wait(address, now) {
                return Err(Fault::TooMany(wait));
            }
            let token = token(value);
            let caller = token.and_then(|token| callers.with_token(&token).cloned());
            return caller.ok_or_else(|| {
                self.attempts.count(address, now);
                Fault::Wrong
            });
        }
        let authorities = files.tls.as_ref().map(|tls| tls.client_authorities);
        let certificate = peer.and_then(|peer| peer.certificate.as_ref());
        // Of a connection that is older than the authorities in effect, the certificate is not verified any more.
        let certificate = certificate.filter(|own| Some(own.authorities) == authorities);
        let subject = &certificate.ok_or(Fault::Missing)?.subject;
        let caller = callers.with_subject(subject);
        (caller.cloned()).ok_or_else(|| Fault::UnknownSubject(subject.clone()))
    }
}

/// The token of `Authorization: Bearer TOKEN`, or of `Basic` with the token as the password.
fn token(value: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("Bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

fn forbidden(caller: &Caller, needed: Role) -> Refusal {
    Refusal::new(
        ErrorName::Forbidden,
        format!(
            "This call needs the role {needed}. {} has the role {}. Nothing was changed.",
            caller.name, caller.role
        ),
    )
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let unauthorized = |message: &str| {
            let mut response = Refusal::new(ErrorName::Unauthorized, message).into_response();
            for challenge in CHALLENGES {
                with_header(&mut response, header::WWW_AUTHENTICATE, challenge);
            }
            response
        };
        match self {
            Self::Missing => unauthorized(
                "This call needs credentials. Send a token as 'Authorization: Bearer TOKEN', or as the password of a user \
                 with any name.",
            ),
            Self::Wrong => unauthorized(
                "The credentials are not those of a caller of this host. Nothing was changed. See tokensFile of the host.",
            ),
            Self::UnknownSubject(subject) => Refusal::new(
                ErrorName::Forbidden,
                format!(
                    "The client certificate has the subject '{subject}', which has no role. Nothing was changed. Add the \
                     subject to tokensFile of the host."
                ),
            )
            .into_response(),
            Self::TooMany(wait) => {
                let seconds = wait.as_secs() + 1;
                let refusal = Refusal::new(
                    ErrorName::TooManyRequests,
                    format!(
                        "Too many wrong credentials came from this address. None are checked for {seconds} s. Nothing was \
                         changed."
                    ),
                );
                let mut response = refusal.into_response();
                with_header(&mut response, header::RETRY_AFTER, &seconds.to_string());
                response
            }
        }
    }
}

fn with_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
}
