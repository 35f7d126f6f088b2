//! The main job, as an operator would do it: a live replica set copied into
//! another over HTTP, killed in the middle, paused, resumed, committed, and
//! compared byte for byte.

mod act;
mod show;
mod stage;

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use support::{mongod, release::Profile};

use crate::build;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// How many documents the source begins with
    #[arg(long, default_value_t = 320_000)]
    documents: u64,
    /// The seed of data and writes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take the host as it is built already, or `TIDEGATE_BIN`
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        build::all(Profile::Release)?;
    }
    eprintln!("mongod: {}", mongod::obtain()?.display());
    let begun = Instant::now();
    crate::block_on(async {
        let mut stage = stage::Stage::set().await?;
        let log = stage.log_path();
        let played = act::play(&mut stage, options).await;
        stage.clear();
        match played {
            Ok(summary) => {
                summary.print(begun.elapsed(), &log);
                Ok(())
            }
            Err(error) => Err(error.context(format!("the host's log is in {}", log.display()))),
        }
    })
}
