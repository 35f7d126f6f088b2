//! Counters of a stage of the chain, shared by all workers: atomics, and a lock taken once per call. They count since
//! the start of the process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::model::ComponentInfo;
use crate::model::plugins::PluginProgress;
use crate::observe::LatencyRecorder;

use super::super::error::{Error, Result};

/// Documents of a batch by outcome, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) kept: usize,
    pub(super) dropped: usize,
    pub(super) replaced: usize,
    pub(super) quarantined: usize,
    pub(super) bytes_in: usize,
    pub(super) bytes_out: usize,
}

/// The counters of a stage.
pub(super) struct Meters {
    kept: AtomicU64,
    dropped: AtomicU64,
    replaced: AtomicU64,
    quarantined: AtomicU64,
    errors: AtomicU64,
    traps: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    latency_us: Mutex<Histogram<u64>>,
    latency: LatencyRecorder,
}

impl Meters {
    pub(super) fn new() -> Result<Self> {
        let latency = Histogram::new(2).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self {
            kept: AtomicU64::default(),
            dropped: AtomicU64::default(),
            replaced: AtomicU64::default(),
            quarantined: AtomicU64::default(),
            errors: AtomicU64::default(),
            traps: AtomicU64::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            latency_us: Mutex::new(latency),
            latency: LatencyRecorder::default(),
        })
    }

    /// Records a call.
    pub(super) fn record_call(&self, elapsed: Duration) {
        self.latency.record(elapsed);
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        // Fails only above the range of the histogram, which exceeds every deadline.
        let _ = self.latency_us.lock().record(elapsed_us);
    }

    /// Records a call without an outcome.
    pub(super) fn record_failure(&self, trapped: bool) {
        let counter = if trapped { &self.traps } else { &self.errors };
        counter.fetch_add(1, Relaxed);
    }

    /// Records the outcomes of a batch.
    pub(super) fn record_outcomes(&self, tally: Tally) {
        for (counter, more) in [
            (&self.kept, tally.kept),
            (&self.dropped, tally.dropped),
            (&self.replaced, tally.replaced),
            (&self.quarantined, tally.quarantined),
            (&self.bytes_in, tally.bytes_in),
            (&self.bytes_out, tally.bytes_out),
        ] {
            if more > 0 {
                counter.fetch_add(more as u64, Relaxed);
            }
        }
    }

    pub(super) fn read(&self, info: &ComponentInfo) -> PluginProgress {
        let [kept, dropped, replaced, quarantined] =
            [&self.kept, &self.dropped, &self.replaced, &self.quarantined]
                .map(|counter| counter.load(Relaxed));
        let latency = self.latency_us.lock();
        PluginProgress {
            name: info.name.clone(),
            digest: info.digest.clone(),
            documents: kept + dropped + replaced + quarantined,
            kept,
            dropped,
            replaced,
            quarantined,
            errors: self.errors.load(Relaxed),
            traps: self.traps.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            batch_latency: self.latency.histogram(),
            ..PluginProgress::default()
        }
    }
}
