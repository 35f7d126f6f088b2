//! Spans of batches: of the copy, and of change events.
//!
//! Thousands of batches pass in a second, so a span is made for some. Without a collector none is made.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tracing::Span;

/// The target of these spans, which no line of the log shows.
pub(in crate::observe) const BATCHES: &str = "batch";

/// Whether a collector takes spans. `tracing::enabled!` does not tell: beside filters of single layers it answers true.
static HAS_COLLECTOR: AtomicBool = AtomicBool::new(false);

/// Has batches make spans from now on.
pub(super) fn begin() {
    HAS_COLLECTOR.store(true, Relaxed);
}

/// Time between two spans of a kind. A span has about 600 bytes as JSON: 6 KiB/s of each kind.
const EVERY: Duration = Duration::from_millis(100);

/// Chooses batches of a kind. Lengths of batches do not count: the choice is that of a clock.
struct Sampler {
    begun: LazyLock<Instant>,
    /// Nanoseconds from `begun` to the time from which on the next batch is chosen.
    due: AtomicU64,
    passed_over: AtomicU64,
}

impl Sampler {
    const fn new() -> Self {
        Self {
            begun: LazyLock::new(Instant::now),
            due: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// The number of batches that were passed over before this one, if this one is chosen.
    fn choose(&self) -> Option<u64> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = nanos(self.begun.elapsed());
        let due = self.due.load(Relaxed);
        let next = now.saturating_add(nanos(EVERY));
        // Of several workers one gets the turn.
        if now >= due
            && self
                .due
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok()
        {
            return Some(self.passed_over.swap(0, Relaxed));
        }
        self.passed_over.fetch_add(1, Relaxed);
        None
    }
}

/// A span of a batch that the copy writes, or none.
pub fn copy_batch_span(documents: usize, bytes: usize) -> Span {
    static SAMPLER: Sampler = Sampler::new();
    if !HAS_COLLECTOR.load(Relaxed) {
        return Span::none();
    }
    SAMPLER.choose().map_or_else(Span::none, |passed_over| {
        tracing::info_span!(target: BATCHES, "copy_batch", documents, bytes, passed_over)
    })
}

/// A span of a batch of events that an applier applies, or none.
pub fn apply_batch_span(events: usize) -> Span {
    static SAMPLER: Sampler = Sampler::new();
    if !HAS_COLLECTOR.load(Relaxed) {
        return Span::none();
    }
    SAMPLER.choose().map_or_else(
        Span::none,
        |passed_over| tracing::info_span!(target: BATCHES, "apply_batch", events, passed_over),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_no_span_is_made() {
        assert!(copy_batch_span(1, 1).is_none() && apply_batch_span(1).is_none());
    }

    #[test]
    fn a_batch_is_chosen_each_tenth_of_a_second_and_the_others_are_counted() {
        let sampler = Sampler::new();
        assert_eq!(sampler.choose(), Some(0));
        let begun = Instant::now();
        let mut passed_over = 0;
        let chosen = loop {
            match sampler.choose() {
                Some(counted) => break counted,
                None => passed_over += 1,
            }
        };
        assert_eq!(chosen, passed_over);
        assert!(begun.elapsed() > EVERY / 2, "{:?}", begun.elapsed());
    }
}
