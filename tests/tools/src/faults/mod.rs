//! `cargo xtask faults`: repetitions of a scripted sync, each with a fault at one command of a host.

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
    faults::{Name, Outcome, Plan, Stages},
    mongod,
    release::Profile,
};

use crate::build;
use report::Report;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// So many runs, drawn by the seed; without it, all
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Draws the sample, and the order
    #[arg(long)]
    seed: Option<u64>,
    /// Only the run of this name, or those whose names hold this; given again, all of these
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Write a line of JSON for each run
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Continue the enumeration of the report, after the runs that it has
    #[arg(long, requires = "report")]
    resume: bool,
    /// Concurrent runs, each on clusters of its own
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Repeat each run
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// A sync for each run. Otherwise a sync has a fault in each of its phases, and only faults that fail there, or
    /// do not come, are run alone
    #[arg(long)]
    alone: bool,
    /// Print the names and run nothing
    #[arg(long)]
    list: bool,
    /// Take the host as it is built already
    #[arg(long)]
    no_build: bool,
}

/// State that all jobs share.
struct Work {
    /// The faults of each sync.
    left: Mutex<VecDeque<Vec<Name>>>,
    report: Mutex<Report>,
    total: usize,
    begun: Instant,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        build::all(Profile::Dev)?;
    }
    eprintln!("mongod: {}", mongod::obtain()?.display());
    let seed = options.seed.unwrap_or_else(rand::random);
    let mut report = Report::open(options.report.as_deref(), options.resume, seed)?;
    let names = match report.plan() {
        Some(names) => names,
        None => crate::block_on(plan(options, seed))?,
    };
    report.begin(&names)?;
    if options.list {
        names.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let known = report.names();
    let names = names.into_iter();
    let names: Vec<Name> = names
        .filter(|name| !known.contains(&name.to_string()))
        .collect();
    let syncs = match options.alone {
        true => names.iter().map(|name| vec![name.clone()]).collect(),
        false => Plan::together(names.clone()),
    };
    let total = names.len() * options.repeat;
    eprintln!(
        "{total} runs in {} syncs, seed {seed}",
        syncs.len() * options.repeat
    );
    let syncs = std::iter::repeat_n(syncs, options.repeat).flatten();
    let work = Work {
        total,
        left: Mutex::new(syncs.collect()),
        report: Mutex::new(report),
        begun: Instant::now(),
    };
    crate::block_on(async {
        let jobs = (0..options.jobs.max(1)).map(|_| work.job());
        futures::future::try_join_all(jobs).await
    })?;
    work.end()
}

/// The runs that are asked for.
async fn plan(options: &Options, seed: u64) -> Result<Vec<Name>> {
    if let [only] = options.only.as_slice()
        && let Ok(name) = only.parse()
    {
        return Ok(vec![name]);
    }
    let mut stages = Stages::default();
    let recorded = stages.record().await?;
    stages.end();
    let mut plan = Plan::of(&recorded);
    for only in &options.only {
        plan.0.retain(|name| name.to_string().contains(only));
    }
    let number = options.sample.unwrap_or(plan.0.len());
    Ok(plan.sample(number, seed).0)
}

impl Work {
    fn next(&self) -> Option<Vec<Name>> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.pop_front()
    }

    /// Runs the remaining runs in sequence.
    async fn job(&self) -> Result<()> {
        let mut stages = Stages::default();
        while let Some(names) = self.next() {
            let outcomes = stages.run_together(&names).await?;
            for (name, outcome) in names.iter().zip(&outcomes) {
                self.ended(name, outcome)?;
            }
        }
        stages.end();
        Ok(())
    }

    fn ended(&self, name: &Name, outcome: &Outcome) -> Result<()> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.add(name, outcome)?;
        let done = report.written();
        let each = self.begun.elapsed().as_secs_f64() / f64::from(u32::try_from(done)?);
        let left = each * f64::from(u32::try_from(self.total.saturating_sub(done))?) / 60.0;
        let said = match (&outcome.failure, outcome.met) {
            (Some(failure), _) => format!("FAILED\n{failure}"),
            (None, true) => "ok".to_owned(),
            (None, false) => "not met".to_owned(),
        };
        let (total, seconds) = (self.total, outcome.seconds);
        eprintln!("{done}/{total}, {left:.0} min left; {seconds:.1} s: {name}: {said}");
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
        bail!("{} runs failed:\n{}", failed.len(), failed.join("\n"))
    }
}
