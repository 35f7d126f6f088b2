//! The log of calls: a line at INFO for each POST, with path, status, duration and error, and a line at DEBUG for each
//! other request.

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::Instrument;
use tracing::field::Empty;

use super::protection::Peer;
use crate::model::{Caller, OperatorError};
use crate::observe::field;

/// Middleware that logs each request after its answer. A POST has a span of its own.
pub(super) async fn log_call(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if method != Method::POST {
        let response = next.run(request).await;
        let (status, elapsed_ms) = (response.status().as_u16(), milliseconds(begun));
        tracing::debug!(%method, path, status, elapsed_ms, "read");
        return response;
    }
    let peer = request.extensions().get::<Peer>();
    let from = peer.map(|peer| tracing::field::display(peer.address));
    let span = tracing::info_span!("call", path, status = Empty, { field::ERROR_CODE } = Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let caller = response.extensions().get::<Caller>();
    let who = caller.map(|caller| caller.name.as_str());
    let (status, elapsed_ms) = (response.status().as_u16(), milliseconds(begun));
    span.record("status", status);
    match response.extensions().get::<OperatorError>() {
        None => tracing::info!(path, status, elapsed_ms, who, from, "call accepted"),
        Some(error) => {
            span.record(field::ERROR_CODE, error.name.as_str());
            tracing::info!(
                path,
                status,
                elapsed_ms,
                who,
                from,
                error_code = error.name.as_str(),
                error = error.message,
                "call refused"
            );
        }
    }
    response
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
