//! Copies of a collection, in several ways: which is the fastest depends on the size of the documents and on the
//! machine.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bson::{RawArrayBuf, RawDocumentBuf, raw::cstr, rawdoc};
use futures::StreamExt;
use mongodb::{Client, Database, raw_batch_cursor::RawBatchCursor};
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinHandle, JoinSet},
};

use super::{
    super::load::{COLLECTION, DATABASE, Documents},
    finish, write,
};

/// Bytes of a range of `_id`s.
const RANGE_BYTES: u64 = 16 << 20;
/// The server's limit for an insert command.
const MOST_DOCUMENTS: u64 = 100_000;

/// How a collection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Reads {
    /// By one reader, in natural order.
    Natural,
    /// By each writer, in ranges of `_id`s.
    Ranges,
}

/// A way to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Way {
    pub(in super::super) reads: Reads,
    pub(in super::super) batch_mib: u64,
    pub(in super::super) writers: usize,
}

impl Way {
    /// What the product does, too. The other ways differ from it in some respect.
    pub(in super::super) const USUAL: Self = Self {
        reads: Reads::Ranges,
        batch_mib: 2,
        writers: 4,
    };
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reads = match self.reads {
            Reads::Natural => "natural order",
            Reads::Ranges => "ranges",
        };
        write!(
            f,
            "{reads}, {} MiB, {} writers",
            self.batch_mib, self.writers
        )
    }
}

/// Copies the documents.
pub(in super::super) async fn copy(
    source: &Client,
    destination: &Client,
    documents: &Documents,
    way: Way,
) -> Result<Duration> {
    let begun = Instant::now();
    let copy = Copy {
        source: source.database(DATABASE),
        destination: destination.database(DATABASE),
        count: documents.count,
        at_once: documents.in_bytes(way.batch_mib << 20).min(MOST_DOCUMENTS),
        range: documents.in_bytes(RANGE_BYTES),
        next: Arc::default(),
    };
    match way.reads {
        Reads::Natural => copy.in_natural_order(way.writers).await?,
        Reads::Ranges => {
            let mut workers = JoinSet::new();
            for _ in 0..way.writers {
                workers.spawn(copy.clone().in_ranges());
            }
            finish(workers).await?;
        }
    }
    Ok(begun.elapsed())
}

#[derive(Clone)]
struct Copy {
    source: Database,
    destination: Database,
    count: u64,
    /// Documents of a reply, and of an insert.
    at_once: u64,
    /// Documents of a range.
    range: u64,
    /// The lower bound of the next range.
    next: Arc<AtomicU64>,
}

impl Copy {
    async fn in_natural_order(&self, writers: usize) -> Result<()> {
        let (sender, receiver) = mpsc::channel::<RawArrayBuf>(writers);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let (receiver, destination) = (Arc::clone(&receiver), self.destination.clone());
            tasks.spawn(async move {
                loop {
                    let Some(documents) = receiver.lock().await.recv().await else {
                        return anyhow::Ok(());
                    };
                    write(&destination, "insert", "documents", documents).await?;
                }
            });
        }
        let find = rawdoc! { "find": COLLECTION, "hint": { "$natural": 1 } };
        let mut cursor = self.read(find).await?;
        while let Some(documents) = batch(&mut cursor).await? {
            sender.send(documents).await.context("the writers ended")?;
        }
        drop(sender);
        finish(tasks).await
    }

    /// Reads a batch while it writes the previous one, across ranges.
    async fn in_ranges(self) -> Result<()> {
        let mut writing = None;
        loop {
            let lower = self.next.fetch_add(self.range, Relaxed);
            if lower >= self.count {
                return settle(writing.take()).await;
            }
            let upper = lower.saturating_add(self.range);
            let bounds = rawdoc! { "$gte": signed(lower), "$lt": signed(upper) };
            let find =
                rawdoc! { "find": COLLECTION, "filter": { "_id": bounds }, "hint": { "_id": 1 } };
            let mut cursor = self.read(find).await?;
            while let Some(documents) = batch(&mut cursor).await? {
                settle(writing.take()).await?;
                let destination = self.destination.clone();
                writing = Some(tokio::spawn(async move {
                    write(&destination, "insert", "documents", documents).await
                }));
            }
        }
    }

    async fn read(&self, mut find: RawDocumentBuf) -> Result<RawBatchCursor> {
        let at_once = u32::try_from(self.at_once)?;
        find.append(cstr!("batchSize"), i32::try_from(at_once)?);
        let cursor = self.source.run_raw_cursor_command(find);
        let cursor = cursor.batch_size(at_once).batch().await;
        cursor.context("read the source")
    }
}

async fn settle(writing: Option<JoinHandle<Result<()>>>) -> Result<()> {
    match writing {
        Some(writing) => writing.await.context("join a write")?,
        None => Ok(()),
    }
}

/// The next batch; `None` at the end.
async fn batch(cursor: &mut RawBatchCursor) -> Result<Option<RawArrayBuf>> {
    let Some(batch) = cursor.next().await else {
        return Ok(None);
    };
    Ok(Some(batch?.doc_slices()?.to_owned()))
}

fn signed(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
