//! Recorder of latencies, shared by tasks without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::model::latency::{LATENCY_BOUNDS_SECONDS, LATENCY_BUCKETS, LatencyHistogram};

/// Counts latencies by bucket.
#[derive(Debug, Default)]
pub struct LatencyRecorder {
    counts: [AtomicU64; LATENCY_BUCKETS],
    sum_ns: AtomicU64,
}

impl LatencyRecorder {
    /// Counts a latency.
    pub fn record(&self, latency: Duration) {
        let seconds = latency.as_secs_f64();
        let bucket = LATENCY_BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// The latencies up to now. A latency that is recorded meanwhile may be part of the counts and not of the sum,
    /// or the reverse.
    pub fn histogram(&self) -> LatencyHistogram {
        LatencyHistogram {
            counts: self.counts.each_ref().map(|count| count.load(Relaxed)),
            sum: Duration::from_nanos(self.sum_ns.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed() {
        let recorder = LatencyRecorder::default();
        for us in [0, 100, 101, 10_000_000, 10_000_001] {
            recorder.record(Duration::from_micros(us));
        }
        let LatencyHistogram { counts, sum } = recorder.histogram();
        let expected = |bucket| match bucket {
            0 => 2,
            1 | 15 | 16 => 1,
            _ => 0,
        };
        assert_eq!(counts, std::array::from_fn(expected));
        assert_eq!(sum, Duration::from_micros(20_000_202));
    }

    #[test]
    fn bounds_ascend() {
        assert!(LATENCY_BOUNDS_SECONDS.is_sorted_by(|lower, upper| lower < upper));
    }
}
