//! `cargo xtask failovers`: syncs between sets of three members while these fail, each drawn by a seed.

mod report;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Result, bail};
use clap::Args;
use support::{
    failovers::{Outcome, Plan, Stages},
    mongod,
    release::Profile,
};

use crate::build;
use report::Report;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// The seed of the first run; each following run has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of runs
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Write a line of JSON for each run
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Leave out the seeds that the report has
    #[arg(long, requires = "report")]
    resume: bool,
    /// Concurrent runs, each on clusters of its own
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Print the plans and run nothing
    #[arg(long)]
    list: bool,
    /// Take the host as it is built already
    #[arg(long)]
    no_build: bool,
    /// In place of the runs: source and destination are away for so many minutes, each in a sync of its own
    #[arg(long, value_name = "MINUTES")]
    outage: Option<u64>,
}

/// State that all jobs share.
struct Work {
    left: Mutex<VecDeque<Plan>>,
    report: Mutex<Report>,
    total: usize,
    begun: Instant,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::open(options.report.as_deref(), options.resume)?;
    let known = report.seeds();
    let mut plans: Vec<Plan> = match options.outage {
        Some(minutes) => Plan::outages(minutes),
        None => (options.seed..options.seed + options.runs)
            .filter(|seed| !known.contains(seed))
            .map(Plan::draw)
            .collect(),
    };
    if options.list {
        plans.iter().for_each(|plan| println!("{plan}"));
        return Ok(());
    }
    if !options.no_build {
        build::all(Profile::Dev)?;
    }
    eprintln!("mongod: {}", mongod::obtain()?.display());
    report.begin()?;
    // Clusters are started again where their shape changes.
    plans.sort_by_key(Plan::shapes);
    let work = Work {
        total: plans.len(),
        left: Mutex::new(plans.into()),
        report: Mutex::new(report),
        begun: Instant::now(),
    };
    crate::block_on(async {
        let jobs = (0..options.jobs.max(1)).map(|_| work.job());
        futures::future::try_join_all(jobs).await
    })?;
    work.end()
}

impl Work {
    fn next(&self) -> Option<Plan> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.pop_front()
    }

    /// Runs the remaining runs in sequence.
    async fn job(&self) -> Result<()> {
        let mut stages = Stages::default();
        while let Some(plan) = self.next() {
            let outcome = Box::pin(stages.run(&plan)).await;
            self.ended(&plan, &outcome)?;
        }
        stages.end();
        Ok(())
    }

    fn ended(&self, plan: &Plan, outcome: &Outcome) -> Result<()> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.add(plan, outcome)?;
        let done = report.written();
        let each = self.begun.elapsed().as_secs_f64() / f64::from(u32::try_from(done)?);
        let left = each * f64::from(u32::try_from(self.total.saturating_sub(done))?) / 60.0;
        let said = match &outcome.failure {
            Some(failure) => format!("FAILED\n{failure}"),
            None => "ok".to_owned(),
        };
        let (total, seconds) = (self.total, outcome.seconds);
        eprintln!("{done}/{total}, {left:.0} min left; {seconds:.1} s: {plan}: {said}");
        Ok(())
    }

    fn end(self) -> Result<()> {
        let report = self
            .report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        println!("{}", report.summary());
        let failed = report.failed();
        if failed.is_empty() {
            return Ok(());
        }
        bail!(
            "{} runs failed; repeat one with `cargo xtask failovers --seed SEED`:\n{}",
            failed.len(),
            failed.join("\n")
        )
    }
}
