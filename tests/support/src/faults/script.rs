//! The scripted sync, with every kind of object, phase by phase. The next step begins when the goal of its
//! predecessor is reached, independent of the answers of calls.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bson::Timestamp;
use serde_json::{Value, json};
use tokio::task::{LocalSet, spawn_local};

use super::{
    COMMIT, START, STARTS,
    crew::{Crew, Worker, upload},
    injection::Injection,
    name::Name,
    set,
    stage::Clusters,
    stamp,
    writes::Writes,
};
use crate::{
    api::post,
    host::{can_commit, text},
};

/// For how long each command of a host travels while collections are copied: the copy takes longer than the writes
/// beside it.
const IN_COPY: Duration = Duration::from_millis(8);

pub(super) struct Script<'a> {
    clusters: &'a Arc<Clusters>,
    crew: &'a Arc<Crew>,
    writes: Writes,
    /// The faults of the run, each with whether its command has come. At most one per phase.
    faults: &'a [Name],
    met: Vec<bool>,
}

impl<'a> Script<'a> {
    pub(super) fn new(
        clusters: &'a Arc<Clusters>,
        crew: &'a Arc<Crew>,
        faults: &'a [Name],
    ) -> Self {
        Self {
            clusters,
            crew,
            writes: Writes::new(clusters.source.client()),
            faults,
            met: vec![false; faults.len()],
        }
    }

    /// Of each fault, whether its command has come.
    pub(super) fn met(&self) -> &[bool] {
        &self.met
    }

    /// The whole sync, to COMMITTED. The actions of faults run concurrently with the steps.
    pub(super) async fn run(&mut self) -> Result<()> {
        LocalSet::new().run_until(self.phases()).await
    }

    async fn phases(&mut self) -> Result<()> {
        for (phase, step) in PHASES {
            self.phase(phase, step)
                .await
                .with_context(|| format!("phase {phase}"))?;
        }
        Ok(())
    }

    /// A phase, with its fault.
    async fn phase(&mut self, phase: &str, step: &Step) -> Result<()> {
        let is_of = |name: &Name| name.place.phase == phase;
        let mut injection = match self.faults.iter().position(is_of) {
            Some(at) => Some((at, self.inject(at).await?)),
            None => None,
        };
        self.clusters.enter(phase);
        let stepped = self.step(step).await;
        if let Some((at, injection)) = &injection
            && let Some(met) = self.met.get_mut(*at)
        {
            *met = injection.is_met();
        }
        stepped?;
        match &mut injection {
            Some((_, injection)) => injection.settle().await,
            None => Ok(()),
        }
    }

    async fn inject(&self, at: usize) -> Result<Injection> {
        let name = self.faults.get(at).context("a fault")?;
        let worker = match name.place.phase.as_str() {
            STARTS => 0,
            _ => {
                let works = |_: &Worker| true;
                self.crew
                    .wait("a host works on the sync", works)
                    .await?
                    .place
            }
        };
        let crew = self.crew;
        let (injection, work) = Injection::install(name, self.clusters, crew, worker);
        spawn_local(work);
        Ok(injection)
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Hire => self.hire().await,
            Step::Start => self.start().await,
            Step::Copy => self.copy().await,
            Step::Events(round) => self.events(*round).await,
            Step::Ddl => self.ddl().await,
            Step::Swap => self.swap().await,
            Step::Pause => self.pause().await,
            Step::Handover => self.hand_over().await,
            Step::Commit => self.commit().await,
        }
    }

    async fn hire(&self) -> Result<()> {
        self.crew.hire().await.context("start the first host")?;
        Ok(())
    }

    async fn start(&self) -> Result<()> {
        let build = stamp::build("7.0.0", set::STAMP)?;
        let begun = |worker: &Worker| worker.state() != "IDLE";
        self.crew
            .until("the sync begins", begun, async |worker| {
                let digest = upload(worker.port, build.clone()).await?;
                self.clusters.delay_hosts(Some(IN_COPY));
                post(worker.port, "/api/v1/start", &set::start(&digest))
                    .await
                    .map(drop)
            })
            .await?;
        Ok(())
    }

    /// Collections are unseen, in work and done when they are written to.
    async fn copy(&self) -> Result<()> {
        self.writes.in_copy().await?;
        self.in_step().await?;
        self.clusters.delay_hosts(None);
        let ready = |worker: &Worker| can_commit(&worker.progress);
        self.crew.wait("everything is copied", ready).await?;
        Ok(())
    }

    async fn events(&self, round: i32) -> Result<()> {
        self.writes.events(round).await?;
        self.in_step().await
    }

    async fn ddl(&self) -> Result<()> {
        self.writes.ddl().await?;
        self.in_step().await
    }

    /// Replaces the plugin by a newer build.
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
        let _allowed = self.crew.allow_pause();
        self.crew.reach("PAUSED", "/api/v1/pause").await?;
        self.writes.events(2).await?;
        self.crew.reach("RUNNING", "/api/v1/resume").await?;
        self.in_step().await?;
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
    Hire,
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
    (STARTS, Step::Hire),
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
