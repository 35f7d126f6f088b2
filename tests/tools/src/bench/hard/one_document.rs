//! One document that is updated all the time.

use std::time::{Duration, Instant};

use anyhow::Result;
use bson::{Document, doc};
use mongodb::Client;
use support::TestDir;

use super::super::{
    figures::Case,
    load::{self, COLLECTION, Documents},
    sides,
    sync::Sync,
    writer::{Steps, Writers},
};

const UPDATES_A_SECOND: u32 = 5000;
const FOR: Duration = Duration::from_secs(20);
const SHORTEST: Duration = Duration::from_secs(2);
/// Updates of a command.
const AT_ONCE: u32 = 50;

struct Updates {
    client: Client,
    number: i64,
}

impl Steps for Updates {
    async fn step(&mut self) -> Result<u64> {
        let updates: Vec<Document> = (0..AT_ONCE)
            .map(|_| {
                self.number += 1;
                let set = doc! { "$set": { "number": self.number }, "$inc": { "revision": 1 } };
                doc! { "q": { "_id": 7_i64 }, "u": set }
            })
            .collect();
        let command = doc! { "update": COLLECTION, "updates": updates };
        load::run(&self.client, [command]).await?;
        Ok(u64::from(AT_ONCE))
    }
}

pub(super) async fn run(divide: u64) -> Result<Case> {
    let mut case = Case::new("one-document");
    let directory = TestDir::new()?;
    let source = sides::large_source(&directory, &[]).await?;
    Documents::new(1000, 1024).insert(source.client()).await?;
    let mut sync = Sync::new(&directory, &source, "ours").await?;
    match sync.copy().await? {
        Ok(_) => Box::pin(updates(&mut case, sync, source.client(), divide)).await?,
        Err(stopped) => sync.give_up(&mut case, stopped)?,
    }
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(case)
}

async fn updates(case: &mut Case, mut sync: Sync<'_>, client: &Client, divide: u64) -> Result<()> {
    let updates = Updates {
        client: client.clone(),
        number: 0,
    };
    sync.lag.longest();
    let every = Duration::from_secs(1) * AT_ONCE / UPDATES_A_SECOND;
    let (begun, cpu_s) = (Instant::now(), sync.cpu_s());
    let writer = Writers::start(every, [updates]);
    let time = (FOR / u32::try_from(divide)?).max(SHORTEST);
    let mut stopped = sync.until(|_| begun.elapsed() >= time).await?;
    let a_second = writer.a_second();
    let events = writer.stop().await? as f64;
    let ended = Instant::now();
    if stopped.is_ok() {
        stopped = sync.catch_up().await?;
    }
    let rest_s = stopped.is_ok().then(|| ended.elapsed().as_secs_f64());
    let cpu_s = sync.cpu_s() - cpu_s;
    case.at_least(
        "updates a second",
        "",
        Some(a_second),
        0.95 * f64::from(UPDATES_A_SECOND),
    );
    case.at_most("longest lag", "s", Some(sync.lag.longest()), 2.0);
    case.at_most("lag at the end", "s", rest_s, 1.0);
    case.found("CPU", "s/million", Some(cpu_s * 1e6 / events));
    case.found("peak memory", "MB", Some(sync.peak_mb()));
    match stopped {
        Ok(()) => sync.finish(case).await,
        Err(stopped) => sync.give_up(case, stopped),
    }
}
