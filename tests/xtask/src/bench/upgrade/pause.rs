//! For how long no event is applied, seen from outside.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use support::{
    Host,
    host::{DEADLINE, number},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How many events a host has applied, and when that was seen to grow last.
#[derive(Clone, Copy)]
pub(super) struct Applied {
    events: u64,
    at: Instant,
}

/// Waits until a host is in step with the writer.
pub(super) async fn in_step(host: &Host) -> Result<()> {
    host.wait_until("in step", DEADLINE, |progress| {
        let lag = progress.get("lagTimeSeconds").and_then(Value::as_u64);
        lag.is_some_and(|seconds| seconds <= 1)
            && progress.pointer("/lease/ours") != Some(&Value::Bool(false))
    })
    .await?;
    Ok(())
}

impl Applied {
    /// Looks at a host until what it has applied has grown a few times.
    pub(super) async fn settle(host: &Host) -> Result<Self> {
        let mut applied = Self {
            events: events(host).await?,
            at: Instant::now(),
        };
        for _ in 0..20 {
            applied = applied.next(host).await?;
        }
        Ok(applied)
    }

    /// The next growth.
    pub(super) async fn next(self, host: &Host) -> Result<Self> {
        let begun = Instant::now();
        loop {
            let events = events(host).await?;
            if events > self.events {
                let at = Instant::now();
                return Ok(Self { events, at });
            }
            if begun.elapsed() > DEADLINE {
                bail!("no event is applied within {DEADLINE:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Milliseconds to `later`.
    pub(super) fn ms_to(self, later: Self) -> f64 {
        (later.at - self.at).as_secs_f64() * 1000.0
    }

    /// Milliseconds from the last event of `old`, which is handing over, to the first of `new`.
    pub(super) async fn until_handed_over(mut self, old: &Host, new: &Host) -> Result<f64> {
        // Until its API is gone.
        while let Ok(events) = events(old).await {
            if events > self.events {
                self = Self {
                    events,
                    at: Instant::now(),
                };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.until_goes_on(new).await
    }

    /// Milliseconds from the last event of a host that is gone to the first of `new`.
    pub(super) async fn until_goes_on(self, new: &Host) -> Result<f64> {
        let begun = Instant::now();
        let mut first = None;
        let at = loop {
            let progress = new.progress().await?;
            if progress.pointer("/lease/ours") == Some(&Value::Bool(true)) {
                let events = number(&progress, "/totalEventsApplied");
                // What it begins with is what the old host has persisted.
                let first = *first.get_or_insert(events);
                if events > first {
                    break Instant::now();
                }
            }
            if begun.elapsed() > DEADLINE {
                bail!("the new host applies nothing: {progress:#}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let seen = (at - self.at).as_secs_f64() * 1000.0;
        Ok(seen.max(said(new).await?))
    }
}

/// `pausedMs`, once the host says it.
async fn said(host: &Host) -> Result<f64> {
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

async fn events(host: &Host) -> Result<u64> {
    Ok(number(&host.progress().await?, "/totalEventsApplied"))
}
