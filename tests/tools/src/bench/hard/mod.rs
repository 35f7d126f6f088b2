//! Large, hot and changing data: figures that are wanted, and those found.
//!
//! Only a difference between source and destination is a failure. A sync that stops, or a figure that is missed,
//! is shown.

mod copy_under_writes;
mod large_documents;
mod many_collections;
mod one_document;
mod oplog;
mod resync;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{Common, figures::Case};

#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Only these cases
    #[arg(value_enum)]
    cases: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// 2 GB under 2,000 writes a second, while the source's oplog rolls over
    CopyUnderWrites,
    /// One document updated 5,000 times a second
    OneDocument,
    /// Small changes of documents of 1 MB
    LargeDocuments,
    /// 10,000 collections
    ManyCollections,
    /// 2 GB of which 1% has changed when the oplog has rolled over
    Resync,
}

pub(super) async fn run(options: &Options) -> Result<Vec<Case>> {
    let divide = options.common.divide;
    let mut cases = Vec::new();
    for &name in Name::value_variants() {
        if !(options.cases.is_empty() || options.cases.contains(&name)) {
            continue;
        }
        let case = match name {
            Name::CopyUnderWrites => Box::pin(copy_under_writes::run(divide)).await,
            Name::OneDocument => Box::pin(one_document::run(divide)).await,
            Name::LargeDocuments => Box::pin(large_documents::run(divide)).await,
            Name::ManyCollections => Box::pin(many_collections::run(divide)).await,
            Name::Resync => Box::pin(resync::run(divide)).await,
        };
        cases.push(case?);
    }
    Ok(cases)
}
