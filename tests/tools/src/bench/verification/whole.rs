//! A whole verification, from the call that asks for it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::Client;
use support::{ReplicaSet, metadata, process::Usage};
use tokio::task::JoinHandle;

use super::super::sync::Sync;

/// Documents of the first batches: more than anything else reads.
const BATCH: i64 = 1000;
/// Between two looks at the destination.
const PAUSE: Duration = Duration::from_millis(20);

/// What a whole verification took.
pub(super) struct Took {
    pub(super) wall_s: f64,
    /// Until the first read of documents.
    pub(super) boundary_s: f64,
}

/// What the host has used since a verification has begun.
pub(super) struct Cost {
    pub(super) cpu_s: f64,
    /// Memory at the beginning, and the peak since, in MB.
    pub(super) memory_mb: (f64, f64),
}

/// A verification that was asked for.
pub(super) struct Begun {
    at: Instant,
    usage: Usage,
    first_read: JoinHandle<Result<Instant>>,
    over: JoinHandle<Result<Instant>>,
}

impl Begun {
    /// Asks for a verification of everything after the end of a slice: the verifier rests then, and its next slice
    /// begins anew.
    pub(super) async fn begin(sync: &Sync<'_>) -> Result<Self> {
        let client = sync.destination.client();
        let known = last_slice(client).await?;
        next_slice(client, &known).await?;
        let known = last_slice(client).await?;
        let first_read = tokio::spawn(first_read(client.clone(), returned(client).await?));
        let process = sync.host.process()?;
        process.forget_peak()?;
        let (usage, at) = (process.usage(), Instant::now());
        let path = "/api/v1/verification/restart";
        let answer = sync.host.call("POST", path, "").await?;
        ensure!(answer.status == 200, "restart answers {}", answer.body);
        Ok(Self {
            at,
            usage,
            first_read,
            over: tokio::spawn(over(client.clone(), known)),
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_finished()
    }

    /// What the host has used until now.
    pub(super) fn cost(&self, sync: &Sync<'_>) -> Result<Cost> {
        let usage = sync.host.process()?.usage();
        let mb = |usage: Usage| usage.peak_rss_kb as f64 / 1024.0;
        Ok(Cost {
            cpu_s: usage.cpu_seconds() - self.usage.cpu_seconds(),
            memory_mb: (mb(self.usage), mb(usage)),
        })
    }

    /// What it took. `None` if it is not over.
    pub(super) async fn took(self) -> Result<Option<Took>> {
        if !self.is_over() {
            self.over.abort();
            self.first_read.abort();
            return Ok(None);
        }
        let (first, last) = (self.first_read.await??, self.over.await??);
        Ok(Some(Took {
            wall_s: (last - self.at).as_secs_f64(),
            boundary_s: (first - self.at).as_secs_f64(),
        }))
    }
}

/// The destination's time of the last slice, as it is persisted. It moves with each slice.
async fn last_slice(client: &Client) -> Result<Bson> {
    let metadata = client.database(metadata::DATABASE);
    let state = metadata.collection::<Document>("verification");
    let state = state.find_one(doc! {}).await?;
    let state = state.context("no verification is persisted")?;
    let time = state.get("destinationTime");
    Ok(time.context("no time of a slice")?.clone())
}

async fn next_slice(client: &Client, known: &Bson) -> Result<()> {
    while last_slice(client).await? == *known {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The time at which all collections are persisted as verified, by a slice after `known`.
async fn over(client: Client, known: Bson) -> Result<Instant> {
    next_slice(&client, &known).await?;
    let metadata = client.database(metadata::DATABASE);
    let collections = metadata.collection::<Document>("verifiedCollections");
    loop {
        let all: Vec<Document> = collections.find(doc! {}).await?.try_collect().await?;
        let is_whole = |one: &Document| one.get("complete") == Some(&Bson::Boolean(true));
        if !all.is_empty() && all.iter().all(is_whole) {
            return Ok(Instant::now());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The time of the first read of a batch of documents.
async fn first_read(client: Client, before: i64) -> Result<Instant> {
    while returned(&client).await? < before + BATCH {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Instant::now())
}

/// Documents that a server has returned so far.
async fn returned(client: &Client) -> Result<i64> {
    let admin = client.database("admin");
    let command = doc! { "serverStatus": 1, "wiredTiger": 0, "tcmalloc": 0 };
    let status = admin.run_command(command).await?;
    let documents = status.get_document("metrics")?.get_document("document")?;
    documents.get_i64("returned").context("documents returned")
}

/// CPU time of both servers so far, in seconds.
pub(super) fn servers_cpu_s(source: &ReplicaSet, sync: &Sync<'_>) -> (f64, f64) {
    let cpu_s = |set: &ReplicaSet| set.usage().cpu_seconds();
    (cpu_s(source), cpu_s(&sync.destination))
}
