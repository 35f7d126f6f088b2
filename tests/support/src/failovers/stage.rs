//! Two clusters of three members each, for a sequence of runs.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::{
    course::{DOCUMENTS, Migration},
    host::{Keeper, OUTAGE},
    plan::{Course, Plan, Shape},
    rig::Cluster,
};
use crate::{
    LogCheck, ReplicaSet, TestDir,
    compare::compare,
    faults::Side,
    host::{self, Arguments},
    workload::{self, dataset},
};

/// The clusters of a stage.
pub(super) struct Clusters {
    pub(super) source: Cluster,
    pub(super) destination: Cluster,
}

impl Clusters {
    pub(super) fn of(&self, side: Side) -> &Cluster {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }

    pub(super) fn both(&self) -> [&Cluster; 2] {
        [&self.source, &self.destination]
    }

    /// Files with rolled-back documents, on source and destination.
    async fn rolled_back(&self) -> [usize; 2] {
        [
            self.source.rolled_back().await,
            self.destination.rolled_back().await,
        ]
    }
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    pub seconds: f64,
    /// Files with documents that members have rolled back, on source and destination.
    pub rolled_back: [usize; 2],
    pub failure: Option<String>,
}

impl Outcome {
    /// A run whose clusters have not started.
    fn without_clusters(error: &anyhow::Error) -> Self {
        Self {
            seconds: 0.0,
            rolled_back: [0, 0],
            failure: Some(format!("{error:#}")),
        }
    }
}

/// The stage of a sequence of runs, started again where the shape of a cluster changes, and after a failure.
#[derive(Default)]
pub struct Stages(Option<Stage>);

impl Stages {
    pub async fn run(&mut self, plan: &Plan) -> Outcome {
        let mut stage = match self.stage(plan.shapes()).await {
            Ok(stage) => stage,
            Err(error) => return Outcome::without_clusters(&error),
        };
        let outcome = stage.run(plan).await;
        match outcome.failure {
            Some(_) => stage.end(false),
            None => self.0 = Some(stage),
        }
        outcome
    }

    /// The stage of the run before, or a new stage where that has failed or had other shapes.
    async fn stage(&mut self, shapes: (Shape, Shape)) -> Result<Stage> {
        match self.0.take() {
            Some(stage) if stage.shapes == shapes => return Ok(stage),
            Some(stage) => stage.end(true),
            None => {}
        }
        Stage::start(shapes).await.context("start the clusters")
    }

    pub fn end(self) {
        if let Some(stage) = self.0 {
            stage.end(true);
        }
    }
}

/// Two clusters, each behind a proxy.
pub struct Stage {
    clusters: Clusters,
    shapes: (Shape, Shape),
    binary: PathBuf,
    directory: TestDir,
}

impl Stage {
    pub async fn start(shapes: (Shape, Shape)) -> Result<Self> {
        let directory = TestDir::new()?;
        let path = |name: &str| directory.path().join(name);
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start("source", path("source"), shapes.0.options()),
            ReplicaSet::start("destination", path("destination"), shapes.1.options()),
        )?;
        Ok(Self {
            clusters: Clusters {
                source: Cluster::of(Side::Source, source).await?,
                destination: Cluster::of(Side::Destination, destination).await?,
            },
            shapes,
            binary: host::binary()?,
            directory,
        })
    }

    /// A sync with the failures of a plan.
    pub async fn run(&mut self, plan: &Plan) -> Outcome {
        let begun = Instant::now();
        let before = self.clusters.rolled_back().await;
        let done = Box::pin(self.try_run(plan)).await;
        let after = self.clusters.rolled_back().await;
        let directory = self.directory.path().display();
        Outcome {
            seconds: begun.elapsed().as_secs_f64(),
            rolled_back: [after[0] - before[0], after[1] - before[1]],
            failure: done
                .err()
                .map(|error| format!("{error:#}\nfiles are in {directory}")),
        }
    }

    async fn try_run(&self, plan: &Plan) -> Result<()> {
        self.prepare(plan).await?;
        let arguments = self.arguments(plan);
        let keeper = Keeper::start(arguments, plan.away()).await?;
        let migration = Migration {
            clusters: &self.clusters,
            keeper: &keeper,
            plan,
        };
        let played = migration.play().await;
        let log = keeper.end().await;
        played?;
        for cluster in self.clusters.both() {
            cluster.recover().await?;
        }
        self.check(&log, plan).await?;
        // Logs of a successful run are not needed.
        std::fs::remove_dir_all(log).context("remove logs")
    }

    /// Empties both clusters, and loads the source. On a full machine a primary may lose an election meanwhile.
    async fn prepare(&self, plan: &Plan) -> Result<()> {
        const ATTEMPTS: usize = 4;
        let mut attempt = 1;
        loop {
            match self.try_prepare(plan).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                done => return done.context("prepare the clusters"),
            }
        }
    }

    async fn try_prepare(&self, plan: &Plan) -> Result<()> {
        for cluster in self.clusters.both() {
            let emptied = cluster.begin_again().await;
            emptied.with_context(|| format!("empty the {}", cluster.side.name()))?;
        }
        let source = self.clusters.source.client();
        workload::load(source, DOCUMENTS, plan.seed).await.map(drop)
    }

    fn arguments(&self, plan: &Plan) -> Arguments {
        let run = format!("seed-{}", plan.seed);
        Arguments {
            binary: self.binary.clone(),
            cluster0: self.clusters.source.proxy.uri().to_owned(),
            cluster1: self.clusters.destination.proxy.uri().to_owned(),
            log_path: self.directory.path().join("logs").join(run),
            more: Vec::new(),
            // Each collection has several partitions.
            environment: vec![("TIDEGATE_PARTITION_BYTES".to_owned(), "8000".to_owned())],
        }
    }

    /// Compares both clusters, and reads the log. Failures may be warned of.
    async fn check(&self, log: &Path, plan: &Plan) -> Result<()> {
        if plan.course == Course::Reverse {
            self.clusters.destination.drop_out_of_scope().await?;
        }
        let (source, destination) = (
            self.clusters.source.client(),
            self.clusters.destination.client(),
        );
        let compared = compare(source, destination, &dataset::in_scope).await?;
        let compared = compared.into_result()?;
        ensure!(
            compared.documents > DOCUMENTS / 2,
            "little was compared: {compared:?}"
        );
        let mut log = LogCheck::new(log);
        log.allow("\"WARN\"");
        // A pause that a failure interrupts names what it has not done, and is repeated.
        log.allow("PAUSED is not persisted");
        // A host that starts during a failure may end, and is started again.
        log.allow("ended: ConnectionFailed");
        if plan.away() > OUTAGE {
            log.allow("the sync has stopped and can be resumed");
        }
        log.check()
    }

    /// Stops the clusters; without a failure, their files go.
    pub fn end(self, has_passed: bool) {
        let Self {
            clusters,
            directory,
            ..
        } = self;
        drop(clusters);
        if has_passed {
            directory.remove();
        }
    }
}
