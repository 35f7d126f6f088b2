//! Durations of the API's calls.

use std::collections::BTreeMap;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::exposition::Exposition;
use super::family::{Family, Histogram, Unit};
use crate::observe::LatencyRecorder;

/// Label of a path or a method that no call has. Any client can send any number of them.
const OTHER: &str = "other";

const DURATION: Family<Histogram, 3> = Family::new(
    "tidegate_api_request_duration_seconds",
    Unit::Seconds,
    "Duration of calls of the API, from the head of the request to the head of the answer",
    ["method", "path", "status"],
);

/// Durations since the start of the process, by method, path and status.
///
/// Invariant: the keys are bounded, since methods and paths are those of the API.
static DURATIONS: Mutex<BTreeMap<CallKey, LatencyRecorder>> = Mutex::new(BTreeMap::new());

/// Method, path and status.
type CallKey = (&'static str, String, u16);

/// Middleware that measures each request.
pub(in crate::api) async fn measure(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => OTHER,
    };
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or(OTHER, MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let key = (method, path, response.status().as_u16());
    let mut recorders = DURATIONS.lock();
    recorders.entry(key).or_default().record(begun.elapsed());
    response
}

/// Adds the durations.
pub(super) fn expose(exposition: &mut Exposition) {
    for ((method, path, status), recorder) in DURATIONS.lock().iter() {
        let labels = [method, path.as_str(), &status.to_string()];
        exposition.add(&DURATION, labels, recorder.histogram());
    }
}
