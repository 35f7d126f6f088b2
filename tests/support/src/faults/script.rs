//! The scripted sync: one of everything, phase by phase. Whatever a call answers, the next
//! step begins when its goal is reached.

use std::sync::Arc;

use anyhow::{Context, Result};
use bson::Timestamp;
use serde_json::{Value, json};

use super::{
    COMMIT, START, STARTS,
    crew::{Crew, Worker, post, upload},
    injection::Injection,
    set,
    stage::Clusters,
    stamp,
    writes::Writes,
};
use crate::host::{can_commit, text};

pub(super) struct Script<'a> {
    clusters: &'a Clusters,
    crew: &'a Arc<Crew>,
    writes: Writes,
    injection: Option<Injection>,
}

impl<'a> Script<'a> {
    pub(super) fn new(
        clusters: &'a Clusters,
        crew: &'a Arc<Crew>,
        injection: Option<Injection>,
    ) -> Self {
        Self {
            clusters,
            crew,
            writes: Writes::new(clusters.source.client()),
            injection,
        }
    }

    /// True if the fault's command has come.
    pub(super) fn is_met(&self) -> bool {
        self.injection.as_ref().is_some_and(Injection::is_met)
    }

    /// The whole sync, to COMMITTED.
    pub(super) async fn run(&mut self) -> Result<()> {
        self.clusters.enter(STARTS);
        self.crew.hire().await.context("start the first host")?;
        for (phase, step) in PHASES {
            self.clusters.enter(phase);
            let done = match step {
                Step::Start => self.start().await,
                Step::Copy => self.copy().await,
                Step::Events(round) => self.events(*round).await,
                Step::Ddl => self.ddl().await,
                Step::Swap => self.swap().await,
                Step::Pause => self.pause().await,
                Step::Handover => self.hand_over().await,
                Step::Commit => self.commit().await,
            };
            done.with_context(|| format!("phase {phase}"))?;
            self.settle()
                .await
                .with_context(|| format!("phase {phase}"))?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        match &mut self.injection {
            Some(injection) => injection.settle().await,
            None => Ok(()),
        }
    }

    async fn start(&self) -> Result<()> {
        let build = stamp::build("7.0.0", set::STAMP)?;
        let begun = |worker: &Worker| worker.state() != "IDLE";
        self.crew
            .until("the sync begins", begun, async |worker| {
                let digest = upload(worker.port, build.clone()).await?;
                post(worker.port, "/api/v1/start", &set::start(&digest))
                    .await
                    .map(drop)
            })
            .await?;
        Ok(())
    }

    async fn copy(&self) -> Result<()> {
        self.writes.in_copy().await?;
        self.in_step().await
    }

    async fn events(&self, round: i32) -> Result<()> {
        self.writes.events(round).await?;
        self.in_step().await
    }

    async fn ddl(&self) -> Result<()> {
        self.writes.ddl().await?;
        self.in_step().await
    }

    /// Puts a newer build in the place of the plugin.
    async fn swap(&self) -> Result<()> {
        let build = stamp::build("7.0.1", set::STAMP)?;
        let swapped = |worker: &Worker| worker.has_swapped("7.0.1");
        self.crew
            .until("the plugin is swapped", swapped, async |worker| {
                let digest = upload(worker.port, build.clone()).await?;
                let body = json!({ "components": [{ "name": "stamp", "digest": digest }] });
                post(worker.port, "/api/v1/upgrade", &body).await.map(drop)
            })
            .await?;
        self.events(1).await
    }

    async fn pause(&self) -> Result<()> {
        self.crew.may_pause(true);
        self.crew.reach("PAUSED", "/api/v1/pause").await?;
        self.writes.events(2).await?;
        self.crew.reach("RUNNING", "/api/v1/resume").await?;
        self.in_step().await?;
        self.crew.may_pause(false);
        Ok(())
    }

    /// Hands the sync to another host.
    async fn hand_over(&self) -> Result<()> {
        let before = self.crew.wait("a host works on the sync", |_| true).await?;
        self.crew.hire().await?;
        self.crew.hand_over(before.place).await?;
        self.events(3).await
    }

    async fn commit(&mut self) -> Result<()> {
        let committed = |worker: &Worker| worker.state() == "COMMITTED";
        self.crew
            .until("COMMITTED", committed, async |worker| {
                if worker.state() == "RUNNING" && can_commit(&worker.progress) {
                    post(worker.port, "/api/v1/commit", &json!({})).await?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Waits until all that is on the source is applied.
    async fn in_step(&self) -> Result<()> {
        let time = self.clusters.source_time().await?;
        let applied = |worker: &Worker| worker.has_applied(time);
        self.crew.wait("everything is applied", applied).await?;
        Ok(())
    }
}

enum Step {
    Start,
    Copy,
    Events(i32),
    Ddl,
    Swap,
    Pause,
    Handover,
    Commit,
}

const PHASES: &[(&str, Step)] = &[
    (START, Step::Start),
    ("copy", Step::Copy),
    ("events", Step::Events(0)),
    ("DDL", Step::Ddl),
    ("swap", Step::Swap),
    ("pause", Step::Pause),
    ("handover", Step::Handover),
    (COMMIT, Step::Commit),
];

impl Worker {
    pub(super) fn state(&self) -> &str {
        text(&self.progress, "state")
    }

    /// True if everything up to this time of the source is applied.
    pub(super) fn has_applied(&self, time: Timestamp) -> bool {
        let shown = self.progress.pointer("/positions/reported/clusterTime");
        let number = |name: &str| u32::try_from(shown?.get(name)?.as_u64()?).ok();
        let (Some(seconds), Some(increment)) = (number("T"), number("I")) else {
            return false;
        };
        (seconds, increment) >= (time.time, time.increment)
    }

    fn has_swapped(&self, version: &str) -> bool {
        let pinned = self
            .progress
            .pointer("/featureSet/pinned")
            .and_then(Value::as_array);
        let is_it = |one: &Value| text(one, "name") == "stamp" && text(one, "version") == version;
        pinned.is_some_and(|pinned| pinned.iter().any(is_it))
    }
}
