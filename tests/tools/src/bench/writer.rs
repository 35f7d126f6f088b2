//! Writers at a given rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{task::JoinSet, time::MissedTickBehavior};

/// The work of a writer, step by step.
pub(super) trait Steps: Send + 'static {
    /// Does the next writes. Returns their number.
    fn step(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// Running writers.
pub(super) struct Writers {
    tasks: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    begun: Instant,
}

impl Writers {
    /// Starts a writer for each of these, which begins a step each `every`.
    pub(super) fn start(every: Duration, steps: impl IntoIterator<Item = impl Steps>) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let tasks = steps
            .into_iter()
            .map(|steps| write(every, steps, Arc::clone(&stop), Arc::clone(&written)))
            .collect();
        Self {
            tasks,
            stop,
            written,
            begun: Instant::now(),
        }
    }

    /// Writes a second so far.
    pub(super) fn a_second(&self) -> f64 {
        self.written.load(Relaxed) as f64 / self.begun.elapsed().as_secs_f64()
    }

    /// Stops them after the steps under way. Returns the number of writes.
    pub(super) async fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("join a writer")??;
        }
        Ok(self.written.load(Relaxed))
    }
}

async fn write(
    every: Duration,
    mut steps: impl Steps,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Result<()> {
    let mut ticks = tokio::time::interval(every);
    // Steps that a slow moment has delayed are made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !stop.load(Relaxed) {
        ticks.tick().await;
        written.fetch_add(steps.step().await.context("write")?, Relaxed);
    }
    Ok(())
}
