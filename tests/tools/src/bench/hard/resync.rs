//! A sync whose position is lost in a pause, compared with the copy of the same data.

use std::time::Instant;

use anyhow::Result;
use support::{ReplicaSet, TestDir};

use super::{
    super::{
        data::Data,
        figures::Case,
        sides,
        sync::{Stopped, Sync},
        writer::Steps,
    },
    oplog,
};

/// The part of the documents that changes in the pause.
const CHANGED: u64 = 100;

pub(super) async fn run(divide: u64) -> Result<Case> {
    let mut case = Case::new("resync");
    let directory = TestDir::new()?;
    let source = oplog::source(&directory).await?;
    let data = Data::new(divide);
    data.insert(source.client()).await?;
    data.warm(source.client()).await?;
    let mut sync = Sync::new(&directory, &source, "ours").await?;
    let copy = sync.copy().await?;
    case.found("wall of the copy", "s", copy.as_ref().ok().copied());
    match copy {
        Ok(copy_s) => Box::pin(again(&mut case, sync, &source, &data, copy_s)).await?,
        Err(stopped) => sync.give_up(&mut case, stopped)?,
    }
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(case)
}

async fn again(
    case: &mut Case,
    mut sync: Sync<'_>,
    source: &ReplicaSet,
    data: &Data,
    copy_s: f64,
) -> Result<()> {
    sync.host.pause().await?;
    let mut writes = data.writes(source.client(), (0, 1))?;
    let mut changes = 0;
    while changes < data.count() / CHANGED {
        changes += writes.step().await?;
    }
    oplog::roll_over(source.client()).await?;
    data.warm(source.client()).await?;

    let (begun, cpu_s) = (Instant::now(), sync.cpu_s());
    let resynced = match sync.host.resume().await {
        Ok(()) => sync.catch_up().await?,
        Err(error) => Err(Stopped(format!("{error:#}"))),
    };
    let wall = resynced.is_ok().then(|| begun.elapsed().as_secs_f64());
    let cpu_s = sync.cpu_s() - cpu_s;
    case.found("changes in the pause", "", Some(changes as f64));
    case.found("wall of the resync", "s", wall);
    case.at_most("ratio", "", wall.map(|wall| wall / copy_s), 0.5);
    case.at_least("resyncs", "", Some(sync.resyncs().await?), 1.0);
    case.found("CPU", "s", Some(cpu_s));
    case.found("peak memory", "MB", Some(sync.peak_mb()));
    match resynced {
        Ok(()) => sync.finish(case).await,
        Err(stopped) => sync.give_up(case, stopped),
    }
}
