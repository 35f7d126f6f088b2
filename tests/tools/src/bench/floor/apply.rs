//! Changes: a raw stream, and writers by hash of the key.

use std::{
    collections::HashSet,
    hash::{BuildHasher, Hasher},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, Timestamp, raw::cstr, rawdoc};
use futures::StreamExt;
use mongodb::{Client, Database};
use rustc_hash::FxBuildHasher;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    super::load::{COLLECTION, DATABASE},
    finish, write,
};

const WRITERS: usize = 4;
/// Operations of a write command.
const OPERATIONS: usize = 1000;

/// Applies `count` events after a cluster time: a raw stream, four writers by hash of the key, commands of about a
/// thousand operations.
pub(in super::super) async fn apply(
    source: &Client,
    destination: &Client,
    after: Timestamp,
    count: u64,
) -> Result<Duration> {
    let begun = Instant::now();
    let mut appliers = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..WRITERS {
        let (sender, receiver) = mpsc::channel(4);
        senders.push(sender);
        appliers.spawn(Applier::new(destination.database(DATABASE)).run(receiver));
    }
    read_events(source, after, count, senders).await?;
    finish(appliers).await?;
    Ok(begun.elapsed())
}

async fn read_events(
    source: &Client,
    after: Timestamp,
    count: u64,
    senders: Vec<mpsc::Sender<Vec<RawDocumentBuf>>>,
) -> Result<()> {
    let command = rawdoc! {
        "aggregate": COLLECTION,
        "pipeline": [{ "$changeStream": { "startAtOperationTime": after } }],
        "cursor": { "batchSize": 10_000 },
    };
    let mut cursor = source
        .database(DATABASE)
        .run_raw_cursor_command(command)
        .batch_size(10_000)
        .batch()
        .await?;
    let mut seen = 0;
    while seen < count {
        let batch = cursor.next().await.context("the stream ended")??;
        let mut shares = vec![Vec::new(); WRITERS];
        for value in batch.doc_slices()? {
            let RawBsonRef::Document(event) = value? else {
                continue;
            };
            seen += 1;
            let share = shares.get_mut(worker_of(event)?).context("a worker")?;
            share.push(event.to_owned());
        }
        for (share, sender) in shares.into_iter().zip(&senders) {
            if !share.is_empty() {
                sender.send(share).await.context("the appliers ended")?;
            }
        }
    }
    ensure!(seen == count, "{seen} events instead of {count}");
    Ok(())
}

fn worker_of(event: &RawDocument) -> Result<usize> {
    let mut hasher = FxBuildHasher.build_hasher();
    hasher.write(event.get_document("documentKey")?.as_bytes());
    Ok(usize::try_from(hasher.finish() >> 32)? % WRITERS)
}

/// Gathers operations and writes them: inserts, then updates, then deletes. A key that recurs in another kind of
/// operation first sends the gathered operations.
struct Applier {
    database: Database,
    inserts: RawArrayBuf,
    updates: RawArrayBuf,
    deletes: RawArrayBuf,
    keys: HashSet<Vec<u8>, FxBuildHasher>,
    operations: usize,
}

impl Applier {
    fn new(database: Database) -> Self {
        Self {
            database,
            inserts: RawArrayBuf::new(),
            updates: RawArrayBuf::new(),
            deletes: RawArrayBuf::new(),
            keys: HashSet::default(),
            operations: 0,
        }
    }

    async fn run(mut self, mut events: mpsc::Receiver<Vec<RawDocumentBuf>>) -> Result<()> {
        while let Some(batch) = events.recv().await {
            for event in batch {
                let key = event.get_document("documentKey")?.as_bytes().to_vec();
                if self.operations >= OPERATIONS || !self.keys.insert(key.clone()) {
                    self.flush().await?;
                    self.keys.insert(key);
                }
                self.add(&event)?;
            }
        }
        self.flush().await
    }

    fn add(&mut self, event: &RawDocument) -> Result<()> {
        self.operations += 1;
        let key = event.get_document("documentKey")?.to_owned();
        match event.get_str("operationType")? {
            "insert" => self
                .inserts
                .push(event.get_document("fullDocument")?.to_owned()),
            "replace" => {
                let document = event.get_document("fullDocument")?.to_owned();
                self.updates.push(rawdoc! { "q": key, "u": document });
            }
            "update" => self.updates.push(rawdoc! { "q": key, "u": delta(event)? }),
            "delete" => self.deletes.push(rawdoc! { "q": key, "limit": 1 }),
            other => return Err(anyhow!("an event {other}")),
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let inserts = std::mem::take(&mut self.inserts);
        write(&self.database, "insert", "documents", inserts).await?;
        write(
            &self.database,
            "update",
            "updates",
            std::mem::take(&mut self.updates),
        )
        .await?;
        write(
            &self.database,
            "delete",
            "deletes",
            std::mem::take(&mut self.deletes),
        )
        .await?;
        self.keys.clear();
        self.operations = 0;
        Ok(())
    }
}

/// The event's delta as an update with operators.
fn delta(event: &RawDocument) -> Result<RawDocumentBuf> {
    let description = event.get_document("updateDescription")?;
    let mut update = RawDocumentBuf::new();
    let set = description.get_document("updatedFields")?;
    if !set.is_empty() {
        update.append(cstr!("$set"), set.to_owned());
    }
    let mut unset = RawDocumentBuf::new();
    for field in description.get_array("removedFields")? {
        let RawBsonRef::String(field) = field? else {
            continue;
        };
        unset.append(bson::raw::CString::try_from(field)?, 1);
    }
    if !unset.is_empty() {
        update.append(cstr!("$unset"), unset);
    }
    Ok(update)
}
