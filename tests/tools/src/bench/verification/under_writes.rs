//! A whole verification, and those of changes after it, under writes.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::Result;
use support::host::number;

use super::{
    super::{
        data::Data,
        figures::Case,
        sync::{Stopped, Sync},
    },
    Stage,
    whole::{Begun, Cost, Took},
};

const WRITES_A_SECOND: u32 = 2000;
const FOR: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(10);

/// Under the writes.
struct Observed {
    /// `None`: the verification was not over.
    took: Option<Took>,
    cost: Cost,
    lag_s: f64,
    a_second: f64,
}

impl Stage<'_> {
    pub(super) async fn under_writes(
        &self,
        case: &mut Case,
        mut sync: Sync<'_>,
        divide: u64,
    ) -> Result<()> {
        let time = (FOR / u32::try_from(divide)?).max(SHORTEST);
        let (observed, mut stopped) = self.observe(&mut sync, time).await?;
        let ended = Instant::now();
        if stopped.is_ok() {
            stopped = sync.verify().await?;
        }
        let rest_s = stopped.is_ok().then(|| ended.elapsed().as_secs_f64());
        show(case, &observed);
        case.found("verified after the last write", "s", rest_s);
        match stopped {
            Ok(()) => sync.finish(case).await,
            Err(stopped) => sync.give_up(case, stopped),
        }
    }

    /// Writes for a time, and verifies everything from its beginning on.
    async fn observe(
        &self,
        sync: &mut Sync<'_>,
        time: Duration,
    ) -> Result<(Observed, Result<(), Stopped>)> {
        let data = Data::of([self.documents]);
        let begun = Begun::begin(sync).await?;
        let started = Instant::now();
        let writers = data.start_writes(self.source.client(), WRITES_A_SECOND)?;
        let lag_s = Cell::new(0);
        let stopped = sync
            .until(|progress| {
                let now = number(progress, "/verification/source/lagTimeSeconds");
                lag_s.set(lag_s.get().max(now));
                started.elapsed() >= time
            })
            .await?;
        let a_second = writers.a_second();
        writers.stop().await?;
        let observed = Observed {
            cost: begun.cost(sync)?,
            took: begun.took().await?,
            lag_s: lag_s.get() as f64,
            a_second,
        };
        Ok((observed, stopped))
    }
}

fn show(case: &mut Case, observed: &Observed) {
    let Observed { took, cost, .. } = observed;
    let fast = 0.95 * f64::from(WRITES_A_SECOND);
    case.at_least("writes a second", "", Some(observed.a_second), fast);
    let wall_s = took.as_ref().map(|it| it.wall_s);
    case.found("wall of a whole verification", "s", wall_s);
    case.at_most("longest lag of it", "s", Some(observed.lag_s), 30.0);
    case.found("CPU, with the stream", "s", Some(cost.cpu_s));
    case.found("memory before", "MB", Some(cost.memory_mb.0));
    case.found("peak memory", "MB", Some(cost.memory_mb.1));
}
