//! Change event application: a paused sync has 200,000 events to catch up with.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bson::{Timestamp, doc};
use serde_json::{Value, json};
use support::{Host, ReplicaSet, TestDir, host::number};

use super::{Amount, Case, Options, floor, load, median, sides};

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
        median(options, async || measure(options.divide).await).await?,
    ])
}

/// Both destinations get the base documents; then the events happen; then each
/// side applies them in turn.
async fn measure(divide: u64) -> Result<Case> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    let floors = sides::destination(&directory, "floor").await?;
    let ours = sides::destination(&directory, "ours").await?;
    let base = BASE_DOCUMENTS / divide;
    load::documents(source.client(), base, DOCUMENT_BYTES).await?;
    floor::copy(source.client(), floors.client()).await?;
    let host = sides::host(&directory, &source, &ours).await?;
    host.start(json!({})).await?;
    host.wait_can_commit().await?;
    host.pause().await?;

    let after = operation_time(&source).await?;
    eprintln!("{NAME}: writing {} events", EVENTS / divide);
    let events = load::events(source.client(), base, EVENTS / divide, DOCUMENT_BYTES).await?;
    let last = operation_time(&source).await?;
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
        ours_s,
        cpu_s: after.cpu_seconds() - before.cpu_seconds(),
        peak_rss_mb: after.peak_rss_mb(),
    })
}

/// The newest time of the source.
async fn operation_time(source: &ReplicaSet) -> Result<Timestamp> {
    let reply = source.admin(doc! { "ping": 1 }).await?;
    reply
        .get_timestamp("operationTime")
        .context("a reply without operationTime")
}

fn next(time: Timestamp) -> Timestamp {
    Timestamp {
        time: time.time,
        increment: time.increment + 1,
    }
}

/// The newest cluster time that the host says is applied.
fn reported(progress: &Value) -> Timestamp {
    let part = |name: &str| {
        let value = number(progress, &format!("/positions/reported/clusterTime/{name}"));
        u32::try_from(value).unwrap_or(u32::MAX)
    };
    Timestamp {
        time: part("T"),
        increment: part("I"),
    }
}
