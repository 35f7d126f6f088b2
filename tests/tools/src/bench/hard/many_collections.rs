//! Thousands of small collections.

use std::time::Instant;

use anyhow::{Context, Result};
use bson::{Document, doc};
use futures::{StreamExt, TryStreamExt};
use mongodb::Client;
use support::TestDir;

use super::super::{figures::Case, sides, sync::Sync};

const COLLECTIONS: u64 = 10_000;
const OF_A_DATABASE: u64 = 500;
const DOCUMENTS: i64 = 10;
/// A tenth of the collections has an index.
const INDEX_EVERY: u64 = 10;
/// Each collection and index is a file. Files that are not used for five seconds are closed, once a checkpoint has
/// written them, so that a shell's limit of open files is enough for the servers.
const FEW_OPEN_FILES: [&str; 6] = [
    "--syncdelay",
    "5",
    "--setParameter",
    "wiredTigerFileHandleCloseIdleTime=5",
    "--setParameter",
    "wiredTigerFileHandleCloseScanInterval=2",
];

pub(super) async fn run(divide: u64) -> Result<Case> {
    let mut case = Case::new("many-collections");
    let directory = TestDir::new()?;
    let source = sides::large_source(&directory, &FEW_OPEN_FILES).await?;
    create(source.client(), COLLECTIONS / divide).await?;
    let mut sync = Sync::with(&directory, &source, "ours", &FEW_OPEN_FILES).await?;
    let ready = sync.copy().await?;
    case.at_most("ready for commit", "s", ready.as_ref().ok().copied(), 300.0);
    case.at_most("peak memory", "MB", Some(sync.peak_mb()), 256.0);
    case.found("CPU", "s", Some(sync.cpu_s()));
    let begun = Instant::now();
    match ready {
        Ok(_) => sync.finish(&mut case).await?,
        Err(stopped) => sync.give_up(&mut case, stopped)?,
    }
    case.found(
        "commit and comparison",
        "s",
        Some(begun.elapsed().as_secs_f64()),
    );
    sides::remove(&directory, "source", source)?;
    case.close(directory);
    Ok(case)
}

async fn create(client: &Client, count: u64) -> Result<()> {
    let created = (0..count).map(|number| async move {
        let database = client.database(&format!("bench_{}", number / OF_A_DATABASE));
        let collection = database.collection::<Document>(&format!("collection_{number}"));
        let documents = (0..DOCUMENTS).map(|id| doc! { "_id": id, "number": id, "text": "tide" });
        collection.insert_many(documents).await.context("create")?;
        if number.is_multiple_of(INDEX_EVERY) {
            let index = doc! { "key": { "number": 1 }, "name": "number_1" };
            let name = collection.name();
            let command = doc! { "createIndexes": name, "indexes": [index] };
            database.run_command(command).await.context("index")?;
        }
        anyhow::Ok(())
    });
    futures::stream::iter(created)
        .buffer_unordered(8)
        .try_collect()
        .await
}
