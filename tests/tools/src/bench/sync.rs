//! A sync between a source and a fresh destination, observed until it is compared.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bson::{Document, Timestamp, doc};
use serde_json::{Value, json};
use support::{
    Comparison, Host, ReplicaSet, TestDir,
    host::{can_commit, text},
    metadata,
};

use super::{
    figures::Case,
    sides,
    time::{operation_time, reported, safe, verified},
};

/// A database of writes that are not synced.
pub(super) const FILLER: &str = "filler";

const DEADLINE: Duration = Duration::from_secs(900);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Sync<'a> {
    directory: &'a TestDir,
    source: &'a ReplicaSet,
    pub(super) destination: ReplicaSet,
    pub(super) host: Host,
    name: &'static str,
    /// More options of the start.
    options: Value,
    /// Of the reported position.
    pub(super) lag: Lag,
    /// Of the persisted position.
    pub(super) safe_lag: Lag,
}

/// Why a sync did not reach a state.
pub(super) struct Stopped(pub(super) String);

impl<'a> Sync<'a> {
    /// A destination and an idle host. `name` is the destination's directory.
    pub(super) async fn new(
        directory: &'a TestDir,
        source: &'a ReplicaSet,
        name: &'static str,
    ) -> Result<Self> {
        Self::with(directory, source, name, &[]).await
    }

    /// A destination with more arguments for its server.
    pub(super) async fn with(
        directory: &'a TestDir,
        source: &'a ReplicaSet,
        name: &'static str,
        arguments: &[&str],
    ) -> Result<Self> {
        let destination = sides::large_destination(directory, name, arguments).await?;
        let host = sides::host(directory, source, &destination).await?;
        Ok(Self {
            directory,
            source,
            destination,
            host,
            name,
            options: json!({}),
            lag: Lag::default(),
            safe_lag: Lag::default(),
        })
    }

    /// Gives the sync more options.
    pub(super) fn options(self, options: Value) -> Self {
        Self { options, ..self }
    }

    pub(super) async fn start(&self) -> Result<()> {
        let mut options = json!({ "excludeNamespaces": [{ "database": FILLER }] });
        if let (Some(all), Some(more)) = (options.as_object_mut(), self.options.as_object()) {
            all.extend(more.clone());
        }
        self.host.start(options).await
    }

    /// Starts the sync. Returns the seconds until it can be committed.
    pub(super) async fn copy(&mut self) -> Result<Result<f64, Stopped>> {
        let begun = Instant::now();
        self.start().await?;
        let stopped = self.until(can_commit).await?;
        Ok(stopped.map(|()| begun.elapsed().as_secs_f64()))
    }

    /// Waits until the progress pleases, and measures the lags meanwhile.
    pub(super) async fn until(
        &mut self,
        pleases: impl Fn(&Value) -> bool,
    ) -> Result<Result<(), Stopped>> {
        let begun = Instant::now();
        loop {
            let newest = operation_time(self.source.client()).await?;
            let progress = match self.host.progress().await {
                Ok(progress) => progress,
                Err(error) => return Ok(Err(Stopped(format!("{error:#}")))),
            };
            self.lag.look(newest, reported(&progress));
            self.safe_lag.look(newest, safe(&progress));
            if pleases(&progress) {
                return Ok(Ok(()));
            }
            if text(&progress, "state") == "PAUSED" || begun.elapsed() > DEADLINE {
                return Ok(Err(Stopped(Self::described(&progress))));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until all events up to now are applied.
    pub(super) async fn catch_up(&mut self) -> Result<Result<(), Stopped>> {
        let last = operation_time(self.source.client()).await?;
        self.until(|progress| reported(progress) >= last && can_commit(progress))
            .await
    }

    /// Waits until all documents are proven equal up to now.
    pub(super) async fn verify(&mut self) -> Result<Result<(), Stopped>> {
        let last = operation_time(self.source.client()).await?;
        // A boundary is just before a time of the stream, and may not include the newest entry of an idle source.
        self.until(|progress| verified(progress).time > last.time && can_commit(progress))
            .await
    }

    fn described(progress: &Value) -> String {
        let field = |name: &str| progress.get(name).unwrap_or(&Value::Null).to_string();
        let (state, info, warnings) = (field("state"), field("info"), field("warnings"));
        format!("the sync is {state}, info {info}, warnings {warnings}")
    }

    /// How often the position was lost and regained.
    pub(super) async fn resyncs(&self) -> Result<f64> {
        let sessions = self.destination.db(metadata::DATABASE);
        let session = sessions.collection::<Document>("session");
        let session = session.find_one(doc! {}).await?.context("no session")?;
        Ok(session.get_array("resyncs").map_or(0, Vec::len) as f64)
    }

    /// CPU time of the host so far, in seconds.
    pub(super) fn cpu_s(&self) -> f64 {
        self.host.usage().cpu_seconds()
    }

    pub(super) fn peak_mb(&self) -> f64 {
        self.host.usage().peak_rss_mb() as f64
    }

    /// Commits, compares, and removes the destination.
    pub(super) async fn finish(mut self, case: &mut Case) -> Result<()> {
        let stopped = match self.catch_up().await? {
            Ok(()) => self.commit().await?,
            stopped => stopped,
        };
        if let Err(stopped) = stopped {
            return self.give_up(case, stopped);
        }
        let compared = self.compare().await?;
        case.differences(Some(compared.differences.len()));
        for difference in compared.differences.iter().take(3) {
            case.note(difference.to_string());
        }
        self.remove()
    }

    /// Compares both clusters byte for byte.
    pub(super) async fn compare(&self) -> Result<Comparison> {
        let (source, destination) = (self.source.client(), self.destination.client());
        let synced = |database: &str, _: &str| database != FILLER;
        support::compare::compare(source, destination, &synced).await
    }

    /// Says why there is nothing to compare.
    pub(super) fn give_up(self, case: &mut Case, stopped: Stopped) -> Result<()> {
        case.note(stopped.0);
        case.differences(None);
        self.remove()
    }

    /// Commits, and waits until that is done or undone.
    async fn commit(&mut self) -> Result<Result<(), Stopped>> {
        self.commit_observed(|_| ()).await
    }

    /// The same, and shows each progress meanwhile.
    pub(super) async fn commit_observed(
        &mut self,
        look: impl Fn(&Value),
    ) -> Result<Result<(), Stopped>> {
        if let Err(error) = self.host.commit().await {
            return Ok(Err(Stopped(format!("{error:#}"))));
        }
        let ended = self
            .until(|progress| {
                look(progress);
                text(progress, "state") != "COMMITTING"
            })
            .await?;
        let progress = self.host.progress().await?;
        Ok(match text(&progress, "state") == "COMMITTED" {
            true => ended,
            false => Err(Stopped(Self::described(&progress))),
        })
    }

    pub(super) fn remove(self) -> Result<()> {
        drop(self.host);
        sides::remove(self.directory, self.name, self.destination)
    }
}

/// How late a position is.
#[derive(Default)]
pub(super) struct Lag {
    /// Times of the source that the position has not reached, and when they were the newest.
    ahead: VecDeque<(Timestamp, Instant)>,
    longest: Duration,
}

impl Lag {
    fn look(&mut self, newest: Timestamp, position: Timestamp) {
        let now = Instant::now();
        self.ahead.push_back((newest, now));
        while self
            .ahead
            .front()
            .is_some_and(|(time, _)| *time <= position)
        {
            self.ahead.pop_front();
        }
        if let Some((_, since)) = self.ahead.front() {
            self.longest = self.longest.max(now - *since);
        }
    }

    /// The longest lag since the last call, in seconds.
    pub(super) fn longest(&mut self) -> f64 {
        let longest = std::mem::take(&mut self.longest);
        longest.as_secs_f64()
    }
}
