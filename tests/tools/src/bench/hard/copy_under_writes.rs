//! A copy under writes, while the source's oplog rolls over, compared with the same copy without them.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use anyhow::Result;
use support::{ReplicaSet, TestDir};

use super::{
    super::{
        data::Data,
        figures::Case,
        sides,
        sync::{Stopped, Sync},
    },
    oplog,
};

const WRITES_A_SECOND: u32 = 2000;
const ROLL_OVERS: f64 = 5.0;
/// More than are wanted: the last is not over when the copy is.
const PLANNED_ROLL_OVERS: f64 = 6.0;
/// The stream is a second or two late on a busy machine.
const SHORTEST_PERIOD: Duration = Duration::from_secs(4);

pub(super) async fn run(divide: u64) -> Result<Case> {
    let mut case = Case::new("copy-under-writes");
    let directory = TestDir::new()?;
    let source = oplog::source(&directory).await?;
    let data = Data::new(divide);
    let bytes = data.insert(source.client()).await?;
    let copies = async {
        data.warm(source.client()).await?;
        let mut sync = Sync::new(&directory, &source, "alone").await?;
        sides::set_apart(&source, &sync.destination)?;
        let alone = sync.copy().await?;
        case.found("wall without writes", "s", alone.as_ref().ok().copied());
        match alone {
            Ok(alone_s) => {
                sync.remove()?;
                data.warm(source.client()).await?;
                Box::pin(under_writes(
                    &mut case,
                    &directory,
                    &source,
                    &data,
                    (alone_s, bytes),
                ))
                .await
            }
            Err(stopped) => sync.give_up(&mut case, stopped),
        }
    };
    copies.await?;
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(case)
}

async fn under_writes(
    case: &mut Case,
    directory: &TestDir,
    source: &ReplicaSet,
    data: &Data,
    (alone_s, bytes): (f64, u64),
) -> Result<()> {
    let mut sync = Sync::new(directory, source, "ours").await?;
    sides::set_apart(source, &sync.destination)?;
    let writer = data.start_writes(source.client(), WRITES_A_SECOND)?;
    let period = Duration::from_secs_f64(alone_s / PLANNED_ROLL_OVERS).max(SHORTEST_PERIOD);
    let (filler, roll_overs) = oplog::start(source.client(), period).await?;
    let ready = sync.copy().await?;
    let (cpu_s, lag_s) = (sync.cpu_s(), sync.safe_lag.longest());
    let (a_second, rolled) = (writer.a_second(), roll_overs.load(Relaxed) as f64);
    filler.stop().await?;
    writer.stop().await?;

    let wall = ready.as_ref().ok().copied();
    let gb = bytes as f64 / 1e9;
    case.found("wall under writes", "s", wall);
    case.at_most("ratio", "", wall.map(|wall| wall / alone_s), 1.25);
    case.at_least(
        "writes a second",
        "",
        Some(a_second),
        0.95 * f64::from(WRITES_A_SECOND),
    );
    case.at_least("roll-overs of the oplog", "", Some(rolled), ROLL_OVERS);
    case.at_most("lost positions", "", lost(&sync, &ready).await?, 0.0);
    case.at_most("longest lag of the safe position", "s", Some(lag_s), 60.0);
    case.found("CPU", "s/GB", Some(cpu_s / gb));
    case.found("peak memory", "MB", Some(sync.peak_mb()));
    match ready {
        Ok(_) => sync.finish(case).await,
        Err(stopped) => sync.give_up(case, stopped),
    }
}

/// A sync that has stopped may have lost its position for good.
async fn lost(sync: &Sync<'_>, ready: &Result<f64, Stopped>) -> Result<Option<f64>> {
    match ready {
        Ok(_) => Ok(Some(sync.resyncs().await?)),
        Err(_) => Ok(None),
    }
}
