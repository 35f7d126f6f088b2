//! Reads of one cluster at a time, some batches ahead.

use std::{sync::Arc, time::Duration};

use bson::{RawArrayBuf, RawBson, RawDocumentBuf, Timestamp, rawdoc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::{Error, dirty_keys::DirtyKey};
use crate::{
    model::ClusterTime,
    mongo::{self, Client, RawCursor, RawReader, RawReply, write::CollectionRef},
};

/// The time for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Documents in a batch. A batch of the server has at most 16 MiB.
const BATCH: u32 = 500;

/// Batches that are read and not compared yet.
const BATCHES_AHEAD: usize = 4;

/// Bytes of a side that are in memory, unless a batch alone has more.
const BYTES_AHEAD: usize = 8 << 20;

/// The documents of a read.
#[derive(Clone, Copy)]
pub(super) enum DocumentRange<'a> {
    /// Those with this `_id` or a higher one, except `MaxKey`; all without a bound.
    From(Option<&'a RawDocumentBuf>),
    /// The document with the `_id` `MaxKey`.
    MaxKey,
    /// The documents with these `_id`s.
    Keys(&'a [DirtyKey]),
}

/// A read of a cluster, which goes on while its batches are compared.
pub(super) struct SideReader {
    /// `None` for the end: a task that has ended otherwise must not look like the end of the documents.
    batches: mpsc::Receiver<Result<Option<ReadBatch>, Error>>,
    /// Of the batch that is compared now.
    compared: Option<OwnedSemaphorePermit>,
    task: AbortOnDropHandle<()>,
}

struct ReadBatch {
    reply: RawReply,
    /// Its share of [`BYTES_AHEAD`].
    memory: OwnedSemaphorePermit,
}

impl SideReader {
    /// Begins a read at `time`. `None` if the collection is gone.
    ///
    /// # Errors
    /// The server has no snapshot of that time, or a failure of the read. Nothing is repeated.
    pub(super) async fn open(
        client: &Client,
        collection: &CollectionRef,
        range: DocumentRange<'_>,
        time: ClusterTime,
    ) -> Result<Option<Self>, Error> {
        let database = client.database(&collection.namespace.database);
        let reader = RawReader::new(database, collection.clone());
        let fields = fields(range, time)?;
        let Some(cursor) = reader.follow(&fields, BATCH, ANSWER).await? else {
            return Ok(None);
        };
        let (read, batches) = mpsc::channel(BATCHES_AHEAD);
        let task = tokio::spawn(async move {
            let end = read_ahead(cursor, &read).await;
            // The receiver is gone where the comparison has ended.
            _ = read.send(end.map(|()| None)).await;
        });
        Ok(Some(Self {
            batches,
            compared: None,
            task: AbortOnDropHandle::new(task),
        }))
    }

    /// The next batch; `None` at the end. The memory of the one before counts as free from now on.
    pub(super) async fn next(&mut self) -> Result<Option<RawReply>, Error> {
        self.compared = None;
        let Some(batch) = self.batches.recv().await else {
            (&mut self.task).await?;
            return Err(Error::Cancelled);
        };
        let Some(batch) = batch? else {
            return Ok(None);
        };
        self.compared = Some(batch.memory);
        Ok(Some(batch.reply))
    }
}

/// Sends the batches of a cursor. The next one is asked for when there is room for one of the size of the last.
async fn read_ahead(
    mut cursor: RawCursor,
    batches: &mpsc::Sender<Result<Option<ReadBatch>, Error>>,
) -> Result<(), Error> {
    let memory = Arc::new(Semaphore::new(BYTES_AHEAD));
    let mut expected = BYTES_AHEAD;
    loop {
        let share = u32::try_from(expected).unwrap_or(u32::MAX);
        let memory = memory.clone().acquire_many_owned(share).await;
        let memory = memory.map_err(|_closed| Error::Cancelled)?;
        let Some(reply) = cursor.next_within(ANSWER).await? else {
            return Ok(());
        };
        expected = reply.bytes().len().min(BYTES_AHEAD);
        let batch = ReadBatch { reply, memory };
        if batches.send(Ok(Some(batch))).await.is_err() {
            return Ok(());
        }
    }
}

fn fields(range: DocumentRange<'_>, time: ClusterTime) -> Result<RawDocumentBuf, Error> {
    let mut fields = match range {
        DocumentRange::From(from) => {
            let mut fields = rawdoc! { "hint": { "_id": 1 } };
            if let Some(from) = from {
                fields.append(bson::cstr!("min"), from.clone());
            }
            fields
        }
        DocumentRange::MaxKey => rawdoc! { "filter": { "_id": RawBson::MaxKey } },
        DocumentRange::Keys(keys) => keys_filter(keys)?,
    };
    fields.append(bson::cstr!("batchSize"), i64::from(BATCH));
    let at = Timestamp::from(time);
    fields.append(
        bson::cstr!("readConcern"),
        rawdoc! { "level": "snapshot", "atClusterTime": at },
    );
    Ok(fields)
}

fn keys_filter(keys: &[DirtyKey]) -> Result<RawDocumentBuf, Error> {
    let sorted = rawdoc! { "sort": { "_id": 1 }, "hint": { "_id": 1 } };
    Ok(mongo::with_id_filter(
        sorted,
        keys.iter().map(|(id_kind, id)| (*id_kind, &**id)),
    )?)
}

/// The entries of a cluster's oplog that match a filter, oldest first, as of `until`; 0 for no limit.
pub(super) async fn open_oplog(
    client: &Client,
    filter: RawDocumentBuf,
    projection: RawDocumentBuf,
    limit: i32,
    until: ClusterTime,
) -> Result<RawCursor, Error> {
    let command = rawdoc! {
        "find": "oplog.rs",
        "filter": filter,
        "projection": projection,
        "limit": limit,
        "readConcern": { "level": "majority", "afterClusterTime": Timestamp::from(until) },
    };
    let local = client.database("local");
    let opened = RawCursor::open(&local, command);
    let opened = tokio::time::timeout(ANSWER, opened).await;
    Ok(opened.map_err(|_elapsed| mongo::Error::NoAnswer(ANSWER))??)
}

/// The next batch of a read of the oplog; `None` at the end.
pub(super) async fn next_of_oplog(cursor: &mut RawCursor) -> Result<Option<RawReply>, Error> {
    Ok(cursor.next_within(ANSWER).await?)
}

/// A list of names, for a query.
pub(super) fn names(names: &[&str]) -> RawArrayBuf {
    names.iter().copied().collect()
}
