//! Reads of a collection on two clusters at once, in several ways.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bson::{RawDocumentBuf, raw::cstr, rawdoc};
use futures::StreamExt;
use mongodb::{Client, Database};
use tokio::task::JoinSet;

use super::{
    super::load::{COLLECTION, DATABASE, Documents},
    Reads, finish,
};

/// Bytes of a range of `_id`s.
const RANGE_BYTES: u64 = 16 << 20;

/// A way to read a cluster.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct ReadWay {
    pub(in super::super) reads: Reads,
    /// Of a reply, at most 16.
    pub(in super::super) batch_mib: u64,
    /// One in natural order.
    pub(in super::super) readers: usize,
}

impl fmt::Display for ReadWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reads {
            Reads::Natural => write!(f, "natural order, {} MiB", self.batch_mib),
            Reads::Ranges => write!(
                f,
                "ranges, {} MiB, {} readers of each side",
                self.batch_mib, self.readers
            ),
        }
    }
}

/// Reads the documents of both clusters.
pub(in super::super) async fn read(
    clusters: [&Client; 2],
    documents: &Documents,
    way: ReadWay,
) -> Result<Duration> {
    let begun = Instant::now();
    let (mut readers, mut sides) = (JoinSet::new(), Vec::new());
    for cluster in clusters {
        let side = Side {
            database: cluster.database(DATABASE),
            count: documents.count,
            at_once: u32::try_from(documents.in_bytes(way.batch_mib << 20))?,
            range: documents.in_bytes(RANGE_BYTES),
            next: Arc::default(),
            found: Arc::default(),
        };
        match way.reads {
            Reads::Natural => {
                readers.spawn(side.clone().in_natural_order());
            }
            Reads::Ranges => {
                for _ in 0..way.readers {
                    readers.spawn(side.clone().in_ranges());
                }
            }
        }
        sides.push(side);
    }
    finish(readers).await?;
    let took = begun.elapsed();
    for side in sides {
        let (found, count) = (side.found.load(Relaxed), side.count);
        ensure!(found == count, "read {found} documents instead of {count}");
    }
    Ok(took)
}

#[derive(Clone)]
struct Side {
    database: Database,
    count: u64,
    /// Documents of a reply.
    at_once: u32,
    /// Documents of a range.
    range: u64,
    /// The lower bound of the next range.
    next: Arc<AtomicU64>,
    /// Documents that were read.
    found: Arc<AtomicU64>,
}

impl Side {
    async fn in_natural_order(self) -> Result<()> {
        self.drain(rawdoc! { "find": COLLECTION, "hint": { "$natural": 1 } })
            .await
    }

    async fn in_ranges(self) -> Result<()> {
        loop {
            let lower = self.next.fetch_add(self.range, Relaxed);
            if lower >= self.count {
                return Ok(());
            }
            let (lower, upper) = (i64::try_from(lower)?, i64::try_from(lower + self.range)?);
            let bounds = rawdoc! { "$gte": lower, "$lt": upper };
            self.drain(
                rawdoc! { "find": COLLECTION, "filter": { "_id": bounds }, "hint": { "_id": 1 } },
            )
            .await?;
        }
    }

    async fn drain(&self, mut find: RawDocumentBuf) -> Result<()> {
        find.append(cstr!("batchSize"), i64::from(self.at_once));
        let cursor = self.database.run_raw_cursor_command(find);
        let mut cursor = cursor.batch_size(self.at_once).batch().await?;
        while let Some(batch) = cursor.next().await {
            let count = batch?.doc_slices()?.into_iter().count();
            self.found.fetch_add(u64::try_from(count)?, Relaxed);
        }
        Ok(())
    }
}
