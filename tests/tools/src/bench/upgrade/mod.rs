//! Live upgrades: for how long no event is applied, under 2,000 writes a second.
//!
//! A gap is measured twice, and the larger figure counts: as reported by the new host (`pausedMs`), and from
//! outside, by observation of the destination.

mod growth;
mod migration;
mod pause;
mod swap;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use support::{Host, ReplicaSet, TestDir, host::Arguments, metadata::wait_for_renewal};

use super::{Options, Report, load::Documents, round, sides, writer::Writers};
use pause::{Newest, active, in_step, said};

const HANDOVERS: u64 = 20;
const TAKEOVERS: u64 = 10;
const SWAPS: u64 = 20;
const WRITES_A_SECOND: u32 = 2000;
const BASE_DOCUMENTS: u64 = 50_000;
const DOCUMENT_BYTES: usize = 500;

pub(super) async fn run(options: &Options) -> Result<Report> {
    let mut figures = Map::new();
    let mut cases = Vec::new();
    if options.wants("handover") || options.wants("takeover") {
        let stage = Stage::set().await?;
        let done = Box::pin(stage.change_hosts(options)).await?;
        cases.extend(done);
    }
    if options.wants("swap") {
        cases.push(Box::pin(swap::run(options)).await?);
    }
    for case in &cases {
        let (median, max) = (case.median(), case.max());
        figures.insert(
            format!("{}_ms", case.name),
            json!({ "median": median, "max": max }),
        );
    }
    let mut shown: Vec<Value> = cases.iter().map(Case::to_json).collect();
    if options.wants("migration") {
        let case = migration::run().await?;
        let elapsed = case.get("migration_ms").cloned().unwrap_or_default();
        figures.insert("migration_ms_10000_partitions".to_owned(), elapsed);
        shown.push(case);
    }
    Ok(Report::Figures(shown, figures))
}

/// The gaps of a way to continue.
struct Case {
    name: &'static str,
    /// The larger of the reported and the observed gap, for each run.
    gaps_ms: Vec<f64>,
    writes_a_second: f64,
}

impl Case {
    fn median(&self) -> f64 {
        let mut gaps = self.gaps_ms.clone();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().map_or(0.0, round)
    }

    fn max(&self) -> f64 {
        round(self.gaps_ms.iter().copied().fold(0.0, f64::max))
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "runs": self.gaps_ms.len(),
            "median_ms": self.median(),
            "max_ms": self.max(),
            "writes_a_second": round(self.writes_a_second),
        })
    }
}

/// Two clusters, and a sync between them that is in step with a writer.
struct Stage {
    directory: TestDir,
    source: ReplicaSet,
    destination: ReplicaSet,
    active: Host,
    writer: Writers,
    hosts: u64,
}

impl Stage {
    async fn set() -> Result<Self> {
        Self::set_with(json!({})).await
    }

    /// `start`: the options of the sync.
    async fn set_with(start: Value) -> Result<Self> {
        let directory = TestDir::new()?;
        let source = sides::source(&directory).await?;
        let destination = sides::destination(&directory, "destination").await?;
        Documents::new(BASE_DOCUMENTS, DOCUMENT_BYTES)
            .insert(source.client())
            .await?;
        let active = sides::host(&directory, &source, &destination).await?;
        active.start(start).await?;
        active.wait_can_commit().await?;
        let writer = growth::start(source.client(), BASE_DOCUMENTS, WRITES_A_SECOND)?;
        in_step(&active).await?;
        Ok(Self {
            directory,
            source,
            destination,
            active,
            writer,
            hosts: 1,
        })
    }

    /// Handovers, then kill -9: the standby takes over each time.
    async fn change_hosts(mut self, options: &Options) -> Result<Vec<Case>> {
        let mut cases = Vec::new();
        for (name, runs, kill) in [
            ("handover", HANDOVERS, false),
            ("takeover", TAKEOVERS, true),
        ] {
            if !options.wants(name) {
                continue;
            }
            let mut gaps_ms = Vec::new();
            for run in 1..=(runs / options.common.divide).max(1) {
                let gap = self.change_host(kill).await;
                let gap = gap.with_context(|| {
                    format!(
                        "{name} {run}; files are in {}",
                        self.directory.path().display()
                    )
                })?;
                eprintln!("{name} {run}: {gap:.0} ms");
                gaps_ms.push(gap);
            }
            cases.push(Case {
                name,
                gaps_ms,
                writes_a_second: self.writer.a_second(),
            });
        }
        self.close().await?;
        Ok(cases)
    }

    /// Starts a standby and makes it the active host. Returns the gap in ms.
    async fn change_host(&mut self, kill: bool) -> Result<f64> {
        let standby = self.standby().await?;
        if kill {
            // Otherwise the pause is counted from the report of an earlier host.
            wait_for_renewal(&self.destination).await?;
        }
        let newest = Newest::of(&self.destination);
        let mut old = std::mem::replace(&mut self.active, standby);
        let new = &self.active;
        let changed = async {
            if kill {
                old.kill()?;
            } else {
                let answer = old.call("POST", "/api/v1/handover", "").await?;
                ensure!(answer.status == 200, "handover answers {}", answer.body);
                ensure!(old.wait_for_end().await?.success(), "the old host failed");
            }
            active(new).await
        };
        let seen = newest.longest_pause(changed).await?;
        let gap = seen.max(said(new).await?);
        in_step(new).await?;
        Ok(gap)
    }

    async fn standby(&mut self) -> Result<Host> {
        self.hosts += 1;
        Host::spawn(Arguments {
            log_path: self.directory.path().join(format!("log{}", self.hosts)),
            ..self.active.arguments().clone()
        })
        .await
    }

    /// Every write is on the destination in the end, too.
    async fn close(self) -> Result<()> {
        self.writer.stop().await?;
        self.active.wait_can_commit().await?;
        self.active.commit().await?;
        self.active.wait_for_state("COMMITTED").await?;
        let all = |_: &str, _: &str| true;
        let (source, destination) = (self.source.client(), self.destination.client());
        support::compare::compare(source, destination, &all)
            .await?
            .into_result()?;
        drop((self.active, self.source, self.destination));
        self.directory.remove();
        Ok(())
    }
}
