//! Inserts and updates at a given rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::Client;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::task::JoinHandle;

use super::super::load::{COLLECTION, DATABASE};

/// Documents of an insert command, and of an update command.
const AT_ONCE: u32 = 10;

/// A running writer.
pub(super) struct Writer {
    task: JoinHandle<Result<()>>,
    stop: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    begun: Instant,
}

impl Writer {
    /// Changes a collection that was loaded with `base` documents.
    pub(super) fn start(client: &Client, base: u64, a_second: u32) -> Self {
        let (stop, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let every = Duration::from_secs(1) * AT_ONCE * 2 / a_second;
        let task = write(client.clone(), base, every, stop.clone(), written.clone());
        Self {
            task: tokio::spawn(task),
            stop,
            written,
            begun: Instant::now(),
        }
    }

    /// Writes a second so far.
    pub(super) fn a_second(&self) -> f64 {
        self.written.load(Relaxed) as f64 / self.begun.elapsed().as_secs_f64()
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.stop.store(1, Relaxed);
        self.task.await.context("join the writer")?
    }
}

async fn write(
    client: Client,
    base: u64,
    every: Duration,
    stop: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
) -> Result<()> {
    let base = i64::try_from(base)?;
    let mut rng = StdRng::seed_from_u64(7);
    let mut next = base;
    let database = client.database(DATABASE);
    let mut ticks = tokio::time::interval(every);
    // Writes that a slow moment has delayed are made up for.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    while stop.load(Relaxed) == 0 {
        ticks.tick().await;
        let inserts: Vec<Document> = (0..AT_ONCE)
            .map(|_| {
                next += 1;
                doc! { "_id": next, "number": rng.random_range(0..1_000_000), "text": ".".repeat(400) }
            })
            .collect();
        let updates: Vec<Document> = (0..AT_ONCE)
            .map(|_| {
                let set = doc! { "$set": { "number": rng.random_range(0..1_000_000_000) }, "$inc": { "revision": 1 } };
                doc! { "q": { "_id": rng.random_range(0..base) }, "u": set }
            })
            .collect();
        let insert = doc! { "insert": COLLECTION, "documents": inserts };
        let update = doc! { "update": COLLECTION, "updates": updates };
        tokio::try_join!(database.run_command(insert), database.run_command(update))
            .context("write")?;
        written.fetch_add(u64::from(AT_ONCE) * 2, Relaxed);
    }
    Ok(())
}
