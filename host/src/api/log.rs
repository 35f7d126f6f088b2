//! The log of calls: a line at INFO for each POST, with path, status, duration and error, and a line at DEBUG for each
//! other request.

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::protection::Peer;
use crate::model::{Caller, OperatorError};

/// Middleware that logs each request after its answer.
pub(super) async fn log_call(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = request.extensions().get::<Peer>();
    let from = peer.map(|peer| tracing::field::display(peer.address));
    let response = next.run(request).await;
    let caller = response.extensions().get::<Caller>();
    let who = caller.map(|caller| caller.name.as_str());
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    let refused = response.extensions().get::<OperatorError>();
    match refused {
        _ if method != Method::POST => {
            tracing::debug!(%method, path, status, elapsed_ms, "read");
        }
        None => tracing::info!(path, status, elapsed_ms, who, from, "call accepted"),
        Some(error) => tracing::info!(
            path,
            status,
            elapsed_ms,
            who,
            from,
            error_code = error.name.as_str(),
            error = error.message,
            "call refused"
        ),
    }
    response
}
