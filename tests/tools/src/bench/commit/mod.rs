//! Cutovers of verified syncs under writes: for how long applications cannot write.

mod blocked;
mod collections;

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bson::doc;
use clap::Args;
use serde_json::json;
use support::{ReplicaSet, TestDir, host::number};

use super::{
    Common,
    data::Data,
    figures::Case,
    sides,
    sync::{Stopped, Sync},
    writer::Writers,
};
use blocked::{Steps, UntilBlocked};

const WRITES_A_SECOND: u32 = 2000;
/// Under writes before a commit, with several slices of the verification.
const BEFORE: Duration = Duration::from_secs(15);

/// How long the stream may take to be in step with the writes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Commit this many times
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Commits.
#[derive(Default)]
struct Commits {
    blocked_ms: Vec<f64>,
    a_second: Vec<f64>,
    /// Of the stream, before the call.
    lag_s: Vec<f64>,
    differences: usize,
}

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    let mut case = Case::new("commit");
    let directory = TestDir::new()?;
    let source = sides::large_source(&directory, &[]).await?;
    let data = collections::create(source.client(), options.common.divide).await?;
    let (mut commits, mut stopped) = (Commits::default(), Ok(()));
    for run in 0..options.runs {
        stopped = Box::pin(commits.add(&directory, &source, (&data, run))).await?;
        if stopped.is_err() {
            break;
        }
    }
    commits.show(&mut case, options.runs);
    if let Err(Stopped(why)) = stopped {
        case.note(why);
    }
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(vec![case])
}

impl Commits {
    /// Commits a fresh sync.
    async fn add(
        &mut self,
        directory: &TestDir,
        source: &ReplicaSet,
        (data, run): (&Data, u32),
    ) -> Result<Result<(), Stopped>> {
        let sync = Sync::new(directory, source, "ours").await?;
        let mut sync = sync.options(json!({
            "verification": { "enabled": true },
            "enableUserWriteBlocking": "sourceAndDestination",
        }));
        if let Err(stopped) = sync.copy().await? {
            return Ok(Err(stopped));
        }
        if let Err(stopped) = sync.verify().await? {
            return Ok(Err(stopped));
        }
        let (every, writers) = data.writers(source.client(), (run.into(), WRITES_A_SECOND))?;
        let writers = Writers::start(every, writers.into_iter().map(UntilBlocked::new));
        tokio::time::sleep(BEFORE).await;
        let lag_s = in_step(&mut sync).await?;
        let a_second = writers.a_second();
        let steps = RefCell::new(Steps::default());
        let committed = sync
            .commit_observed(|progress| steps.borrow_mut().look(progress))
            .await?;
        writers.stop().await?;
        if committed.is_err() {
            return Ok(committed);
        }
        let blocked_ms = number(&sync.host.progress().await?, "/blockedMs") as f64;
        eprintln!(
            "  commit {}: {blocked_ms:.0} ms{}",
            run + 1,
            steps.into_inner()
        );
        self.blocked_ms.push(blocked_ms);
        self.a_second.push(a_second);
        self.lag_s.push(lag_s);
        let compared = sync.compare().await?;
        for difference in compared.differences.iter().take(3) {
            eprintln!("  {difference}");
        }
        self.differences += compared.differences.len();
        lift(source).await?;
        sync.remove()?;
        Ok(Ok(()))
    }

    fn show(&mut self, case: &mut Case, wanted: u32) {
        for figures in [&mut self.blocked_ms, &mut self.a_second, &mut self.lag_s] {
            figures.sort_by(f64::total_cmp);
        }
        let median = self.blocked_ms.get(self.blocked_ms.len() / 2).copied();
        let done = self.blocked_ms.len() as f64;
        case.at_least("commits", "", Some(done), wanted.into());
        let slowest = self.a_second.first().copied();
        let fast = 0.95 * f64::from(WRITES_A_SECOND);
        case.at_least("writes a second", "", slowest, fast);
        case.at_most("longest lag before", "s", self.lag_s.last().copied(), 1.0);
        case.found("shortest block", "ms", self.blocked_ms.first().copied());
        case.at_most("block, median", "ms", median, 2000.0);
        case.found("longest block", "ms", self.blocked_ms.last().copied());
        case.differences(median.map(|_| self.differences));
    }
}

/// Waits until the stream is in step with the writes, but not for long: a slow machine never is. Returns its lag in
/// seconds.
async fn in_step(sync: &mut Sync<'_>) -> Result<f64> {
    let begun = Instant::now();
    let lag_s = Cell::new(0);
    let waited = sync.until(|progress| {
        lag_s.set(number(progress, "/lagTimeSeconds"));
        lag_s.get() <= 1 || begun.elapsed() > PATIENCE
    });
    // A sync that has stopped refuses the commit.
    let _ = waited.await?;
    Ok(lag_s.get() as f64)
}

/// Opens the source for the next run.
async fn lift(source: &ReplicaSet) -> Result<()> {
    let command = doc! { "setUserWriteBlockMode": 1, "global": false };
    source.admin(command).await.context("open the source")?;
    Ok(())
}
