//! The floor: the cost of reading and writing alone, in the fastest way that we know. No partitions, no progress,
//! no position, no plugin.

mod apply;
mod copy;
mod read;

use anyhow::{Context, Result, ensure};
use bson::{RawArrayBuf, RawDocumentBuf, raw::cstr, rawdoc};
use mongodb::Database;
use tokio::task::JoinSet;

use super::load::COLLECTION;

pub(super) use self::{
    apply::apply,
    copy::{Reads, Way, copy},
    read::{ReadWay, read},
};

async fn finish(mut tasks: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.context("join a writer")??;
    }
    Ok(())
}

async fn write(
    database: &Database,
    command: &str,
    field: &str,
    operations: RawArrayBuf,
) -> Result<()> {
    if operations.is_empty() {
        return Ok(());
    }
    let mut body = RawDocumentBuf::new();
    body.append(bson::raw::CString::try_from(command)?, COLLECTION);
    body.append(cstr!("ordered"), false);
    body.append(cstr!("writeConcern"), rawdoc! { "w": "majority" });
    body.append(bson::raw::CString::try_from(field)?, operations);
    let reply = database
        .run_raw_command(body)
        .await
        .with_context(|| command.to_owned())?;
    ensure!(
        !reply.contains_key("writeErrors"),
        "{command} failed: {reply}"
    );
    Ok(())
}
