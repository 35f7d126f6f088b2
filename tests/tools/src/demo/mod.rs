//! The main job, as an operator would do it: a live replica set copied into
//! another over HTTP by the previous release, killed in the middle, upgraded to this
//! release as it runs, paused, resumed, committed, and compared byte for byte.

mod act;
mod show;
mod stage;

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use support::{
    host, mongod,
    release::{Profile, previous},
};

use crate::{build, releases};

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// How many documents the source begins with
    #[arg(long, default_value_t = 320_000)]
    documents: u64,
    /// The seed of data and writes
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
    let begun = Instant::now();
    crate::block_on(async {
        let mut stage = stage::Stage::set(&old, &new).await?;
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
