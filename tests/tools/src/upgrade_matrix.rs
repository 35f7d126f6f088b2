//! `cargo xtask upgrade-matrix`: the real host of every earlier release, in every phase of a sync under load,
//! replaced by the host of this build.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use support::{
    host, mongod,
    release::{self, Profile, Release},
    upgrade::{Course, Manner, PHASES, Phase},
};

use crate::{build, releases};

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Only from this release
    #[arg(long)]
    from: Option<String>,
    /// Only phases whose name holds this
    #[arg(long)]
    only: Option<String>,
    /// Take the host as it is built already
    #[arg(long)]
    no_build: bool,
}

/// A line of the table.
struct Row {
    phase: &'static str,
    cells: Vec<Option<Cell>>,
}

/// The outcome of an upgrade.
enum Cell {
    Upgraded { paused_ms: Option<u64> },
    Failed,
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Upgraded { paused_ms: None } => "ok".to_owned(),
            Self::Upgraded {
                paused_ms: Some(ms),
            } => format!("{ms} ms"),
            Self::Failed => "FAILED".to_owned(),
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        build::all(Profile::Dev)?;
    }
    let releases = match &options.from {
        Some(version) => vec![Release::of(version)?],
        None => release::earlier()?,
    };
    for release in &releases {
        releases::build(release, Profile::Dev)?;
    }
    eprintln!("mongod: {}", mongod::obtain()?.display());
    let mut failures = Vec::new();
    for release in &releases {
        let rows = crate::block_on(of_release(release, options, &mut failures))?;
        print(release, &rows);
    }
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "{} upgrades failed:\n{}",
        failures.len(),
        failures.join("\n")
    )
}

async fn of_release(
    release: &Release,
    options: &Options,
    failures: &mut Vec<String>,
) -> Result<Vec<Row>> {
    let wanted = |phase: &&Phase| match &options.only {
        Some(only) => phase.name.contains(only.as_str()),
        None => true,
    };
    let (old, new) = (release.binary(Profile::Dev)?, host::binary()?);
    let prepare = async || Course::prepare(&old, &new, release.has_plugins()).await;
    let mut course = prepare().await?;
    let mut rows = Vec::new();
    for phase in PHASES.iter().filter(wanted) {
        let mut cells = Vec::new();
        for manner in Manner::ALL {
            if !phase.manners().contains(&manner) {
                cells.push(None);
                continue;
            }
            let begun = Instant::now();
            let cell = match course.run(*phase, manner).await {
                Ok(paused_ms) => Cell::Upgraded { paused_ms },
                Err(error) => {
                    failures.push(format!("{}: {error:#}", release.version));
                    // The leftovers of this upgrade show why it failed: the next upgrades begin from scratch.
                    course = prepare().await?;
                    Cell::Failed
                }
            };
            eprintln!(
                "{}, {}, {}: {} after {:.1} s",
                release.version,
                phase.name,
                manner.name(),
                cell.text(),
                begun.elapsed().as_secs_f64()
            );
            cells.push(Some(cell));
        }
        let phase = phase.name;
        rows.push(Row { phase, cells });
    }
    if let Err(error) = course.close() {
        failures.push(format!("{}: {error:#}", release.version));
    }
    Ok(rows)
}

/// A table of `pausedMs`, phases down and manners across.
fn print(release: &Release, rows: &[Row]) {
    let first = rows.iter().map(|row| row.phase.len()).max().unwrap_or(0);
    let first = first.max("phase".len());
    println!("\nFrom {} to this build, `pausedMs`:\n", release.version);
    let names = Manner::ALL.map(Manner::name);
    let mut line = format!("| {:first$} |", "phase");
    let mut rule = format!("|{}|", "-".repeat(first + 2));
    for name in names {
        line.push_str(&format!(" {name} |"));
        rule.push_str(&format!("{}:|", "-".repeat(name.len() + 1)));
    }
    println!("{line}\n{rule}");
    for row in rows {
        let mut line = format!("| {:first$} |", row.phase);
        for (cell, name) in row.cells.iter().zip(names) {
            let text = cell.as_ref().map(Cell::text).unwrap_or_default();
            line.push_str(&format!(" {text:>width$} |", width = name.len()));
        }
        println!("{line}");
    }
}
