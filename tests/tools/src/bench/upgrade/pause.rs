//! For how long no event is applied, seen on the destination.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bson::{Document, doc};
use mongodb::Collection;
use serde_json::Value;
use support::{Host, ReplicaSet, host::DEADLINE};

use super::super::load::{COLLECTION, DATABASE};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How often the destination has to grow before anything is measured.
const SETTLED: usize = 20;

/// Waits until a host works on the sync and is in step with the writer.
pub(super) async fn in_step(host: &Host) -> Result<()> {
    host.wait_until("in step", DEADLINE, |progress| {
        let lag = progress.get("lagTimeSeconds").and_then(Value::as_u64);
        lag.is_some_and(|seconds| seconds <= 1) && is_active(progress)
    })
    .await?;
    Ok(())
}

/// Waits until a host works on the sync.
pub(super) async fn active(host: &Host) -> Result<()> {
    host.wait_until("the active host", DEADLINE, is_active)
        .await?;
    Ok(())
}

fn is_active(progress: &Value) -> bool {
    progress.pointer("/lease/ours") == Some(&Value::Bool(true))
}

/// The newest document of a destination, which the writer has many of a second.
pub(super) struct Newest(Collection<Document>);

/// The time of an observed growth of the destination, and its new size.
#[derive(Clone, Copy)]
struct Growth {
    id: i64,
    at: Instant,
}

impl Newest {
    pub(super) fn of(destination: &ReplicaSet) -> Self {
        Self(destination.db(DATABASE).collection(COLLECTION))
    }

    /// The longest time without growth, in milliseconds: from before `work` until the first
    /// growth after it.
    pub(super) async fn longest_pause(
        &self,
        work: impl Future<Output = Result<()>>,
    ) -> Result<f64> {
        let mut last = Growth {
            id: self.id().await?,
            at: Instant::now(),
        };
        for _ in 0..SETTLED {
            last = self.next(last).await?;
        }
        let (mut work, mut longest) = (pin!(work), Duration::ZERO);
        loop {
            let done = tokio::select! {
                biased;
                done = &mut work => Some(done),
                next = self.next(last) => {
                    let next = next?;
                    longest = longest.max(next.at - last.at);
                    last = next;
                    None
                }
            };
            if let Some(done) = done {
                done?;
                let next = self.next(last).await?;
                return Ok(longest.max(next.at - last.at).as_secs_f64() * 1000.0);
            }
        }
    }

    async fn next(&self, last: Growth) -> Result<Growth> {
        let begun = Instant::now();
        loop {
            let id = self.id().await?;
            if id > last.id {
                let at = Instant::now();
                return Ok(Growth { id, at });
            }
            if begun.elapsed() > DEADLINE {
                bail!("no event is applied within {DEADLINE:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn id(&self) -> Result<i64> {
        let newest = self.0.find_one(doc! {}).sort(doc! { "_id": -1 }).await;
        let newest = newest.context("look at the destination")?;
        Ok(newest.context("an empty destination")?.get_i64("_id")?)
    }
}

/// `pausedMs`, once the host says it.
pub(super) async fn said(host: &Host) -> Result<f64> {
    let progress = host
        .wait_until("pausedMs", DEADLINE, |progress| {
            paused_ms(progress).is_some()
        })
        .await?;
    paused_ms(&progress).context("pausedMs")
}

fn paused_ms(progress: &Value) -> Option<f64> {
    progress.pointer("/lease/pausedMs")?.as_f64()
}
