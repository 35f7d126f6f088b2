//! Speed and memory of the released host, against a floor measured in the same
//! run: raw reads and raw writes with no bookkeeping, into a fresh destination
//! with the same settings.
//!
//! Nothing here asserts a time: a benchmark reports.

mod apply;
mod commit;
mod copy;
mod data;
mod figures;
mod floor;
mod hard;
mod load;
mod network;
mod plugin;
mod sides;
mod sync;
mod time;
mod upgrade;
mod verification;
mod writer;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use support::release::Profile;

use crate::build;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Collection copy: 1 GB of 1 KiB documents, 3,000,000 of 122 B
    Copy(Options),
    /// Change event application: 200,000 mixed events after a pause
    Apply(Options),
    /// Plugins: a document against native code, and a copy with and without them
    Plugin(Options),
    /// Live upgrades under 2,000 writes a second: handovers, takeovers, swaps, a migration
    Upgrade(Options),
    /// Large, hot and changing data: a copy under writes while the oplog rolls over, a resync, 10,000 collections
    Hard(hard::Options),
    /// The embedded verification: 1 GB without writes against raw reads of both sides, and under 2,000 writes a second
    Verification(verification::Options),
    /// Cutovers under 2,000 writes a second: how long applications cannot write
    Commit(commit::Options),
    /// A copy over a network of 100 Mbit/s and one of 1 Gbit/s, with each compressor
    Network(network::Options),
}

impl Bench {
    fn name(&self) -> &'static str {
        match self {
            Self::Copy(_) => "copy",
            Self::Apply(_) => "apply",
            Self::Plugin(_) => "plugin",
            Self::Upgrade(_) => "upgrade",
            Self::Hard(_) => "hard",
            Self::Verification(_) => "verification",
            Self::Commit(_) => "commit",
            Self::Network(_) => "network",
        }
    }

    fn common(&self) -> &Common {
        match self {
            Self::Copy(options)
            | Self::Apply(options)
            | Self::Plugin(options)
            | Self::Upgrade(options) => &options.common,
            Self::Hard(options) => &options.common,
            Self::Verification(options) => &options.common,
            Self::Commit(options) => &options.common,
            Self::Network(options) => &options.common,
        }
    }
}

#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Do each case this many times and report the median ratio's run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only cases whose name holds this
    #[arg(long)]
    only: Option<String>,
}

/// Options of every benchmark.
#[derive(Args, Clone)]
struct Common {
    /// A JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Divide the amount of data by this, for a quick look
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    divide: u64,
    /// Take this task and the host (or `TIDEGATE_BIN`) as they are built already
    #[arg(long)]
    no_build: bool,
}

impl Options {
    fn wants(&self, case: &str) -> bool {
        self.only.as_deref().is_none_or(|only| case.contains(only))
    }
}

/// How much a case moved.
#[derive(Clone, Copy)]
enum Amount {
    Bytes(u64),
    Events(u64),
}

/// The result of a benchmark.
enum Report {
    Moved(Vec<Case>),
    Other(Vec<Value>),
    /// Cases, and the figures that come of them.
    Figures(Vec<Value>, Map<String, Value>),
    /// Cases with figures that are wanted.
    Wanted(Vec<figures::Case>),
}

impl Report {
    fn to_json(&self) -> Vec<Value> {
        match self {
            Self::Moved(cases) => cases.iter().map(Case::to_json).collect(),
            Self::Other(cases) | Self::Figures(cases, _) => cases.clone(),
            Self::Wanted(cases) => cases.iter().map(figures::Case::to_json).collect(),
        }
    }

    fn as_one_object(&self, name: &str) -> Value {
        let mut object = json!({ "bench": name, "cases": self.to_json() });
        if let (Some(object), Self::Figures(_, figures)) = (object.as_object_mut(), self) {
            object.extend(figures.clone());
        }
        object
    }

    fn print(&self) {
        match self {
            Self::Moved(cases) => cases.iter().for_each(Case::print),
            Self::Other(cases) => cases.iter().for_each(|case| println!("{case}")),
            Self::Figures(cases, figures) => {
                cases.iter().for_each(|case| println!("{case}"));
                println!("{}", json!(figures));
            }
            Self::Wanted(cases) => figures::print(cases),
        }
    }
}

/// A measured case.
#[derive(Clone)]
struct Case {
    name: &'static str,
    amount: Amount,
    floor_s: f64,
    /// The fastest way to copy.
    floor_way: Option<floor::Way>,
    ours_s: f64,
    cpu_s: f64,
    peak_rss_mb: u64,
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let common = bench.common();
    if !common.no_build {
        build::all(Profile::Release)?;
    }
    let report = crate::block_on(async {
        match bench {
            Bench::Copy(options) => Ok(Report::Moved(copy::run(options).await?)),
            Bench::Apply(options) => Ok(Report::Moved(apply::run(options).await?)),
            Bench::Plugin(options) => plugin::run(options).await.map(Report::Other),
            Bench::Upgrade(options) => Box::pin(upgrade::run(options)).await,
            Bench::Hard(options) => Box::pin(hard::run(options)).await.map(Report::Wanted),
            Bench::Verification(options) => Box::pin(verification::run(options))
                .await
                .map(Report::Wanted),
            Bench::Commit(options) => Box::pin(commit::run(options)).await.map(Report::Wanted),
            Bench::Network(options) => Box::pin(network::run(options)).await.map(Report::Wanted),
        }
    })?;
    if common.json {
        println!("{}", report.as_one_object(bench.name()));
    } else {
        report.print();
    }
    match report {
        Report::Wanted(cases) => figures::equal(&cases),
        _ => Ok(()),
    }
}

/// Measures a case as often as asked and keeps the run with the median ratio.
async fn median(options: &Options, measure: impl AsyncFn() -> Result<Case>) -> Result<Case> {
    let mut runs = Vec::new();
    for run in 1..=options.runs {
        let case = measure().await?;
        eprintln!("{} run {run}: ratio {:.2}", case.name, case.ratio());
        runs.push(case);
    }
    runs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let middle = runs.len() / 2;
    Ok(runs.swap_remove(middle))
}

impl Case {
    fn ratio(&self) -> f64 {
        self.ours_s / self.floor_s
    }

    fn to_json(&self) -> Value {
        let (amount, amount_value, per_name, per) = match self.amount {
            Amount::Bytes(bytes) => {
                let gb = bytes as f64 / 1e9;
                ("gb", json!(round(gb)), "cpu_s_per_gb", self.cpu_s / gb)
            }
            Amount::Events(events) => (
                "events",
                json!(events),
                "cpu_s_per_million",
                self.cpu_s / (events as f64 / 1e6),
            ),
        };
        let mut case = json!({
            "name": self.name,
            amount: amount_value,
            "floor_s": round(self.floor_s),
            "ours_s": round(self.ours_s),
            "ratio": round(self.ratio()),
            "cpu_s": round(self.cpu_s),
            per_name: round(per),
            "peak_rss_mb": self.peak_rss_mb,
        });
        if let (Some(case), Some(way)) = (case.as_object_mut(), self.floor_way) {
            case.insert("floor_way".to_owned(), json!(way.to_string()));
        }
        case
    }

    fn print(&self) {
        let (amount, cpu) = match self.amount {
            Amount::Bytes(bytes) => {
                let gb = bytes as f64 / 1e9;
                (
                    format!("{gb:.2} GB"),
                    format!("{:.1} CPU s/GB", self.cpu_s / gb),
                )
            }
            Amount::Events(events) => (
                format!("{events} events"),
                format!("{:.1} CPU s/million", self.cpu_s / (events as f64 / 1e6)),
            ),
        };
        let way = self.floor_way.map(|way| format!("  floor: {way}"));
        println!(
            "{:16} {amount:>14}  floor {:6.2} s  ours {:6.2} s  ratio {:.2}  {cpu}  peak {} MB{}",
            self.name,
            self.floor_s,
            self.ours_s,
            self.ratio(),
            self.peak_rss_mb,
            way.unwrap_or_default()
        );
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
