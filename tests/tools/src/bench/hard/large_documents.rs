//! Small changes of large documents, after a pause.

use std::time::Instant;

use anyhow::Result;
use mongodb::Client;
use support::TestDir;

use super::super::{
    figures::Case,
    load::{self, Documents, Script},
    sides,
    sync::Sync,
};

const COUNT: u64 = 200;
const BYTES: usize = 1_000_000;
const UPDATES: u64 = 40_000;
/// Updates of a command.
const AT_ONCE: u64 = 200;

pub(super) async fn run(divide: u64) -> Result<Case> {
    let mut case = Case::new("large-documents");
    let directory = TestDir::new()?;
    let source = sides::large_source(&directory, &[]).await?;
    let documents = Documents::new((COUNT / divide).max(10), BYTES);
    documents.insert(source.client()).await?;
    let mut sync = Sync::new(&directory, &source, "ours").await?;
    match sync.copy().await? {
        Ok(_) => {
            let updates = (UPDATES / divide / AT_ONCE).max(1) * AT_ONCE;
            Box::pin(changes(
                &mut case,
                sync,
                source.client(),
                &documents,
                updates,
            ))
            .await?;
        }
        Err(stopped) => sync.give_up(&mut case, stopped)?,
    }
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(case)
}

async fn changes(
    case: &mut Case,
    mut sync: Sync<'_>,
    client: &Client,
    documents: &Documents,
    updates: u64,
) -> Result<()> {
    sync.host.pause().await?;
    let mut script = Script::new(*documents, 0..documents.count, documents.count);
    for _ in 0..updates / AT_ONCE {
        load::run(client, [script.updates(AT_ONCE)]).await?;
    }
    let (begun, cpu_s) = (Instant::now(), sync.cpu_s());
    sync.host.resume().await?;
    let stopped = sync.catch_up().await?;
    let wall = begun.elapsed().as_secs_f64();
    let cpu_s = sync.cpu_s() - cpu_s;
    let events = updates as f64;
    case.found(
        "events a second",
        "",
        stopped.is_ok().then_some(events / wall),
    );
    case.found("CPU", "s/million", Some(cpu_s * 1e6 / events));
    case.found("peak memory", "MB", Some(sync.peak_mb()));
    match stopped {
        Ok(()) => sync.finish(case).await,
        Err(stopped) => sync.give_up(case, stopped),
    }
}
