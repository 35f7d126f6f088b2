//! A source with a small oplog, and writes that roll it over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bson::{Binary, Document, Timestamp, doc, spec::BinarySubtype};
use mongodb::{
    Client,
    error::{CommandError, ErrorKind},
    options::Hint,
};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use support::{ReplicaSet, TestDir};

use super::super::{
    sides,
    sync::FILLER,
    time::operation_time,
    writer::{Steps, Writers},
};

/// Of the oplog, in MB. The server truncates it in tenths of this.
const SIZE: &str = "16";
/// Seconds between two checkpoints: the server truncates the oplog up to the last checkpoint only (`fsync` makes none
/// that counts).
const CHECKPOINTS_S: &str = "4";
/// Bytes after which nothing is left of what the oplog held.
const TURNOVER_BYTES: u64 = 20 << 20;
const DOCUMENTS: u64 = 8;
const DOCUMENT_BYTES: u64 = 64 << 10;
/// Steps of a turnover.
const STEPS: u64 = TURNOVER_BYTES / DOCUMENTS / DOCUMENT_BYTES;

pub(super) async fn source(directory: &TestDir) -> Result<ReplicaSet> {
    sides::large_source(
        directory,
        &["--oplogSize", SIZE, "--syncdelay", CHECKPOINTS_S],
    )
    .await
}

/// Large documents outside of the scope of the sync.
struct Filler {
    client: Client,
    rng: StdRng,
    /// The newest entry of the oplog at the last roll-over.
    mark: Timestamp,
    roll_overs: Arc<AtomicU64>,
}

/// Rolls the oplog over in each `period`. Returns the writer, and the number of roll-overs so far.
pub(super) async fn start(client: &Client, period: Duration) -> Result<(Writers, Arc<AtomicU64>)> {
    let filler = Filler::new(client).await?;
    let roll_overs = Arc::clone(&filler.roll_overs);
    let every = period / u32::try_from(STEPS)?;
    Ok((Writers::start(every, [filler]), roll_overs))
}

/// Writes until no entry that the oplog holds now is left.
pub(super) async fn roll_over(client: &Client) -> Result<()> {
    let mut filler = Filler::new(client).await?;
    while filler.roll_overs.load(Relaxed) == 0 {
        filler.step().await?;
    }
    Ok(())
}

impl Filler {
    async fn new(client: &Client) -> Result<Self> {
        Ok(Self {
            client: client.clone(),
            rng: StdRng::seed_from_u64(2),
            mark: operation_time(client).await?,
            roll_overs: Arc::default(),
        })
    }

    fn document(&mut self) -> Document {
        let mut bytes = vec![0; usize::try_from(DOCUMENT_BYTES).unwrap_or_default()];
        self.rng.fill_bytes(&mut bytes);
        let subtype = BinarySubtype::Generic;
        doc! { "filler": Binary { subtype, bytes } }
    }

    /// Counts a roll-over if the newest entry of the last time is gone.
    async fn look(&mut self) -> Result<()> {
        let oldest = oldest(&self.client).await?;
        if oldest.is_some_and(|oldest| oldest > self.mark) {
            self.mark = operation_time(&self.client).await?;
            self.roll_overs.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

impl Steps for Filler {
    async fn step(&mut self) -> Result<u64> {
        let documents: Vec<Document> = (0..DOCUMENTS).map(|_| self.document()).collect();
        let collection = self.client.database(FILLER).collection("filler");
        collection.insert_many(documents).await.context("fill")?;
        self.look().await?;
        Ok(DOCUMENTS)
    }
}

/// The time of the oldest entry of the oplog. `None`: the entry was truncated meanwhile.
async fn oldest(client: &Client) -> Result<Option<Timestamp>> {
    const POSITION_LOST: i32 = 136;
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    let entry = oplog
        .find_one(doc! {})
        .projection(doc! { "ts": 1 })
        .hint(Hint::Keys(doc! { "$natural": 1 }))
        .await;
    match entry {
        Ok(entry) => Ok(Some(entry.context("an empty oplog")?.get_timestamp("ts")?)),
        Err(error) => match *error.kind {
            ErrorKind::Command(CommandError {
                code: POSITION_LOST,
                ..
            }) => Ok(None),
            _ => Err(error).context("read the oplog"),
        },
    }
}
