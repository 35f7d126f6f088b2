//! Distribution of latencies over fixed buckets.

use std::time::Duration;

/// Upper bounds of the buckets, in seconds, ascending. A bucket holds latencies up to and including its bound; the
/// last bucket, which has no bound, holds all others.
///
/// The bounds are part of the API, as labels of `GET /metrics`: a change breaks the history of dashboards.
pub const LATENCY_BOUNDS_SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Number of buckets: one for each bound, and the last one without a bound.
pub const LATENCY_BUCKETS: usize = LATENCY_BOUNDS_SECONDS.len() + 1;

/// Latencies that a process has measured since its start, by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    /// Number of latencies in each bucket, not cumulative.
    pub counts: [u64; LATENCY_BUCKETS],
    /// Sum of all latencies.
    pub sum: Duration,
}
