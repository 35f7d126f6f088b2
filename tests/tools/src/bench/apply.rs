//! Change event application: a paused sync has 200,000 events to catch up with.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bson::Timestamp;
use serde_json::json;
use support::{Host, TestDir, host::number};

use super::{
    Amount, Case, Options,
    floor::{self, Way},
    load::{self, Documents},
    median, sides,
    time::{next, operation_time, reported},
};

const DEADLINE: Duration = Duration::from_secs(600);
const NAME: &str = "mixed_events";
const BASE_DOCUMENTS: u64 = 100_000;
const EVENTS: u64 = 200_000;
const DOCUMENT_BYTES: usize = 500;

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    if !options.wants(NAME) {
        return Ok(Vec::new());
    }
    Ok(vec![
        median(options, async || measure(options.common.divide).await).await?,
    ])
}

/// Both destinations get the base documents; then the events happen; then each
/// side applies them in turn.
async fn measure(divide: u64) -> Result<Case> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    let floors = sides::destination(&directory, "floor").await?;
    let ours = sides::destination(&directory, "ours").await?;
    let documents = Documents::new(BASE_DOCUMENTS / divide, DOCUMENT_BYTES);
    documents.insert(source.client()).await?;
    floor::copy(source.client(), floors.client(), &documents, Way::USUAL).await?;
    let host = sides::host(&directory, &source, &ours).await?;
    host.start(json!({})).await?;
    host.wait_can_commit().await?;
    host.pause().await?;

    let after = operation_time(source.client()).await?;
    eprintln!("{NAME}: writing {} events", EVENTS / divide);
    let events = load::events(source.client(), &documents, EVENTS / divide).await?;
    let last = operation_time(source.client()).await?;
    let floor_s = floor::apply(source.client(), floors.client(), next(after), events).await?;
    let mut case = apply(&host, last, events)
        .await
        .with_context(|| format!("files are in {}", directory.path().display()))?;
    case.floor_s = floor_s.as_secs_f64();
    drop((host, source, floors, ours));
    directory.remove();
    Ok(case)
}

async fn apply(host: &Host, last: Timestamp, events: u64) -> Result<Case> {
    let applied_before = number(&host.progress().await?, "/totalEventsApplied");
    let before = host.usage();
    let begun = Instant::now();
    host.resume().await?;
    host.wait_until("all events are applied", DEADLINE, |progress| {
        reported(progress) >= last
    })
    .await?;
    let ours_s = begun.elapsed().as_secs_f64();
    let after = host.usage();
    // Shown when it is persisted, up to a second later, and therefore not part of the measured time.
    host.wait_until("all events are counted", DEADLINE, |progress| {
        number(progress, "/totalEventsApplied") >= applied_before + events
    })
    .await?;
    Ok(Case {
        name: NAME,
        amount: Amount::Events(events),
        floor_s: 0.0,
        floor_way: None,
        ours_s,
        cpu_s: after.cpu_seconds() - before.cpu_seconds(),
        peak_rss_mb: after.peak_rss_mb(),
    })
}
