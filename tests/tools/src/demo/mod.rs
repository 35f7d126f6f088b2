//! The main jobs, as an operator would do them, in two acts over HTTP. First, a live replica set is copied into another
//! by the previous release, killed in the middle, upgraded to this release as it runs, paused, resumed, committed, and
//! compared byte for byte. Then, on clusters with users, this release verifies while an application writes, blocks its
//! writes at the commit, and goes back.

mod cutover;
mod show;
mod stage;
mod steps;
mod summary;
mod upgrade;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Result;
use clap::Args;
use support::{
    host,
    mongod::{self, target_directory},
    release::{Profile, previous},
};

use self::{show::Show, stage::Stage};
use crate::{build, releases};

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// How many documents the source of the first act begins with
    #[arg(long, default_value_t = 320_000)]
    documents: u64,
    /// The seed of data and writes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this act: 1, the upgrade, or 2, the cutover
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    act: Option<u8>,
    /// Take the hosts as they are built already, or `TIDEGATE_BIN` for this release's
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let before = previous()?;
    if !options.no_build {
        build::all(Profile::Dev)?;
        eprintln!(
            "xtask: building release {}, which the demo begins with",
            before.version
        );
        releases::build(&before, Profile::Dev)?;
    }
    let (old, new) = (before.binary(Profile::Dev)?, host::binary()?);
    eprintln!("mongod: {}", mongod::obtain()?.display());
    crate::block_on(play(&old, &new, options))
}

async fn play(old: &Path, new: &Path, options: &Options) -> Result<()> {
    let (begun, show) = (Instant::now(), Show::new());
    let is_played = |act| options.act.is_none_or(|only| only == act);
    let mut played = (None, None);
    if is_played(1) {
        let mut stage = Stage::open(directory("upgrade"), old).await?;
        let result = upgrade::play(&mut stage, &show, new, options).await;
        played.0 = Some(stage.clear(result)?);
    }
    if is_played(2) {
        let stage = Stage::secure(directory("cutover"), new).await?;
        let result = cutover::play(&stage, &show, options).await;
        played.1 = Some(stage.clear(result)?);
    }
    if let Some(upgrade) = played.0 {
        upgrade.print();
    }
    if let Some(cutover) = played.1 {
        cutover.print();
    }
    println!(
        "\nSource and destination are equal after each commit. The whole demo, after the build: {:.1} s.\n\
         Logs of the hosts: {}",
        begun.elapsed().as_secs_f64(),
        directory("*/log").display()
    );
    Ok(())
}

/// The directory of an act, which keeps its logs.
fn directory(act: &str) -> PathBuf {
    target_directory().join("demo").join(act)
}
