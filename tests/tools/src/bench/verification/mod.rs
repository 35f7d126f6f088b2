//! The embedded verification: figures that are wanted, and those found.
//!
//! A host that goes on with a verified sync verifies everything again on demand. It is a new process, so that its
//! memory before is that of a sync in step, and not that of a copy.

mod idle;
mod under_writes;
mod whole;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;
use support::{ReplicaSet, TestDir};

use super::{
    Common,
    figures::Case,
    load::Documents,
    sides,
    sync::{Stopped, Sync},
};

const DOCUMENTS: u64 = 1_000_000;
const DOCUMENT_BYTES: usize = 1024;

#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Verify this many times without writes and report the median ratio's run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only these cases
    #[arg(value_enum)]
    cases: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// 1 GB without writes, against raw reads of both sides
    Idle,
    /// 1 GB under 2,000 writes a second for a minute
    UnderWrites,
}

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for &name in Name::value_variants() {
        if options.cases.is_empty() || options.cases.contains(&name) {
            cases.push(Box::pin(case(options, name)).await?);
        }
    }
    Ok(cases)
}

async fn case(options: &Options, name: Name) -> Result<Case> {
    let mut case = Case::new(match name {
        Name::Idle => "idle",
        Name::UnderWrites => "under-writes",
    });
    let directory = TestDir::new()?;
    let source = sides::large_source(&directory, &[]).await?;
    let documents = Documents::new(DOCUMENTS / options.common.divide, DOCUMENT_BYTES);
    let bytes = documents.insert(source.client()).await?;
    let (sync, stopped) = in_step(&directory, &source, &documents).await?;
    match stopped {
        Ok(()) => {
            let stage = Stage {
                source: &source,
                documents,
                bytes,
            };
            let measured = match name {
                Name::Idle => Box::pin(stage.idle(&mut case, sync, options.runs)).await,
                Name::UnderWrites => {
                    Box::pin(stage.under_writes(&mut case, sync, options.common.divide)).await
                }
            };
            measured?;
        }
        Err(stopped) => sync.give_up(&mut case, stopped)?,
    }
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(case)
}

/// The data of a case.
struct Stage<'a> {
    source: &'a ReplicaSet,
    documents: Documents,
    /// Of all documents.
    bytes: u64,
}

/// A sync in step that is verified, on a new host.
async fn in_step<'a>(
    directory: &'a TestDir,
    source: &'a ReplicaSet,
    documents: &Documents,
) -> Result<(Sync<'a>, Result<(), Stopped>)> {
    let sync = Sync::new(directory, source, "ours").await?;
    let mut sync = sync.options(json!({ "verification": { "enabled": true } }));
    let mut stopped = sync.copy().await?.map(drop);
    if stopped.is_ok() {
        stopped = sync.verify().await?;
    }
    if stopped.is_ok() {
        sync.host.terminate().await?;
        sync.host.restart().await?;
        stopped = sync.verify().await?;
    }
    documents.warm(source.client()).await?;
    documents.warm(sync.destination.client()).await?;
    Ok((sync, stopped))
}
