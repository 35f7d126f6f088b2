//! Copies one partition: reads raw batches, writes them as they are.

use std::{sync::Arc, time::Duration};

use bson::{RawDocumentBuf, rawdoc};
use futures::StreamExt;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    Context, Error,
    find::{Find, Read},
};
use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::{ClusterTime, ErrorKind, raw},
    mongo::{
        self, DestinationDatabase, Repeat, Whereabouts, code, outage,
        write::{self, CollectionRef, MAX_COMMAND_BYTES, WriteCommand},
    },
    observe::failpoint,
    plugin::{NamespaceChain, Outcome},
    sync::{
        indexes::{is_capped, is_clustered, on_destination},
        pipeline,
        quarantine::{Origin, id_document},
    },
};

/// Bytes of documents that a batch aims at: large enough that the cost of a
/// command does not count, small enough for memory (docs/performance.md).
const BATCH_BYTES: u64 = 2 << 20;

/// Documents in a batch at most; the server takes up to 100,000.
const MAX_BATCH_DOCUMENTS: u64 = 20_000;

/// The server's largest reply, in KiB.
const REPLY_KIB: u32 = 16 * 1024 + 64;

/// How often a partition's progress is persisted while it is copied.
const PERSIST_EVERY: Duration = Duration::from_secs(1);

/// The time for an answer of the source.
const ANSWER: Duration = Duration::from_secs(120);

/// Pauses between attempts of a copy that does not move.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct PartitionCopier<'a> {
    pub(super) context: &'a Context,
    pub(super) budget: &'a Arc<Semaphore>,
    pub(super) namespace: NamespaceDocument,
    /// The plugins that see the collection's documents; `None` if none does.
    pub(super) chain: Option<NamespaceChain>,
    pub(super) average_bytes: u64,
    /// Reads see everything up to this time.
    pub(super) after: ClusterTime,
}

/// A batch and its share of the byte budget.
struct Batch {
    reply: RawBatch,
    _share: OwnedSemaphorePermit,
}

/// A partition that is being copied.
struct Copying {
    partition: PartitionDocument,
    /// What `/progress` counts of it: what is persisted, so that no crash takes it back.
    counted: (i64, i64),
}

impl PartitionCopier<'_> {
    /// Copies what is left of `partition` and gives it back done and persisted.
    /// A cursor or a write that breaks is begun again behind the last durable
    /// document, until nothing has moved for as long as an outage may take.
    pub(super) async fn run(
        &self,
        partition: PartitionDocument,
    ) -> Result<PartitionDocument, Error> {
        let counted = (partition.documents, partition.bytes);
        let mut copying = Copying { partition, counted };
        let (mut moved, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let before = copying.partition.documents;
            let copied = self.copy(&mut copying).await;
            if copying.partition.documents > before {
                (moved, pause) = (Instant::now(), FIRST_PAUSE);
            }
            match copied {
                Ok(()) => break,
                Err(Error::Mongo(error)) if passes(&error) && moved.elapsed() < outage() => {
                    tracing::info!(namespace = %self.namespace.source, error = %error, "copying on after an interruption");
                    let stopped =
                        tokio::time::timeout(pause, self.context.cancel.cancelled()).await;
                    stopped.map_or(Ok(()), |()| self.context.check_cancelled())?;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                Err(error) => {
                    if matches!(error, Error::Cancelled) {
                        // Every answer has been read: nothing is under way.
                        copying.partition.begun = false;
                    }
                    self.persist(&mut copying).await?;
                    return Err(error);
                }
            }
        }
        (copying.partition.done, copying.partition.begun) = (true, false);
        self.persist(&mut copying).await?;
        Ok(copying.partition)
    }

    async fn copy(&self, copying: &mut Copying) -> Result<(), Error> {
        for read in Read::all(is_capped(&self.namespace.options), &copying.partition) {
            self.copy_read(read, copying).await?;
        }
        Ok(())
    }

    async fn persist(&self, copying: &mut Copying) -> Result<(), Error> {
        let Copying { partition, counted } = copying;
        self.context.store.put_partition(partition).await?;
        let more = |now: i64, before: i64| u64::try_from(now - before).unwrap_or_default();
        let documents = more(partition.documents, counted.0);
        let bytes = more(partition.bytes, counted.1);
        let status = &self.context.status;
        status.copied(&self.namespace.source, documents, bytes);
        *counted = (partition.documents, partition.bytes);
        Ok(())
    }

    /// Reads the next batch while the last one is being written.
    async fn copy_read(&self, read: Read, copying: &mut Copying) -> Result<(), Error> {
        let Some(mut cursor) = self.open(read, &copying.partition).await? else {
            return Ok(());
        };
        let mut persisted = Instant::now();
        let mut batch = self.read(&mut cursor).await?;
        while let Some(current) = batch.take() {
            self.context.check_cancelled()?;
            if !copying.partition.begun {
                copying.partition.begun = true;
                self.persist(copying).await?;
            }
            let (written, next) = tokio::join!(
                self.write(&current, &mut copying.partition),
                self.read(&mut cursor)
            );
            written?;
            drop(current);
            failpoint("copy_batch_inserted");
            if persisted.elapsed() > PERSIST_EVERY {
                self.persist(copying).await?;
                persisted = Instant::now();
            }
            batch = next?;
        }
        Ok(())
    }

    async fn read(&self, cursor: &mut RawBatchCursor) -> Result<Option<Batch>, Error> {
        // The budget is never closed, so a permit always comes.
        let Ok(mut share) = self.budget.clone().acquire_many_owned(REPLY_KIB).await else {
            return Ok(None);
        };
        let next = tokio::time::timeout(ANSWER, cursor.next()).await;
        let Some(reply) = next.map_err(|_elapsed| mongo::Error::NoAnswer(ANSWER))? else {
            return Ok(None);
        };
        let reply = reply.map_err(mongo::Error::from)?;
        let kib = reply.as_raw_document().as_bytes().len() / 1024 + 1;
        drop(share.split(share.num_permits().saturating_sub(kib)));
        Ok(Some(Batch {
            reply,
            _share: share,
        }))
    }

    /// Writes a batch and, when it is durable, moves the partition's progress past it.
    async fn write(&self, batch: &Batch, partition: &mut PartitionDocument) -> Result<(), Error> {
        let array = batch
            .reply
            .doc_slices()
            .map_err(mongo::Error::from)?
            .as_bytes();
        let documents: Vec<&[u8]> = raw::documents(array)?.collect::<Result<_, _>>()?;
        let Some(last) = documents.last() else {
            return Ok(());
        };
        let written = match &self.chain {
            Some(chain) => self.write_transformed(chain, array, &documents).await,
            None => self.insert(&documents, Some(array)).await,
        };
        if let Err(error) = written {
            // An insert whose answer was lost may still be done.
            partition.suspect |= !matches!(error, Error::Cancelled);
            return Err(error);
        }
        let (count, bytes) = (documents.len() as u64, array.len() as u64);
        let id = raw::find(last, "_id")?.ok_or(raw::Malformed)?;
        partition.last_id = Some(id_document(id.kind, id.value)?);
        partition.documents += i64::try_from(count).unwrap_or_default();
        partition.bytes += i64::try_from(bytes).unwrap_or_default();
        self.context.status.has_moved();
        Ok(())
    }

    async fn write_transformed(
        &self,
        chain: &NamespaceChain,
        array: &[u8],
        documents: &[&[u8]],
    ) -> Result<(), Error> {
        let transformed = pipeline::transform(chain, documents)?;
        if transformed.is_unchanged() {
            return self.insert(documents, Some(array)).await;
        }
        let mut kept = Vec::with_capacity(documents.len());
        for (document, outcome) in documents.iter().zip(transformed.outcomes()) {
            match outcome {
                Outcome::Keep => kept.push(*document),
                Outcome::Replaced(replacement) => kept.push(replacement),
                Outcome::Drop => {}
                Outcome::Quarantined(fault) => {
                    let origin = Origin {
                        namespace_id: &self.namespace.id,
                        source: &self.namespace.source,
                    };
                    let context = self.context;
                    let quarantine = &context.quarantine;
                    quarantine
                        .put(&context.status, origin, document, fault)
                        .await?;
                }
            }
        }
        self.insert(&kept, None).await
    }

    /// Inserts documents; `array` is the BSON array of just these, where there is one.
    async fn insert(&self, documents: &[&[u8]], array: Option<&[u8]>) -> Result<(), Error> {
        for (command, sent) in commands(&on_destination(&self.namespace), documents, array) {
            let outcome = command.send_unguarded(&self.database()).await?;
            self.settle(&outcome, sent).await?;
        }
        Ok(())
    }

    /// Passes over duplicates: what a repeated range finds there already.
    async fn settle(&self, outcome: &write::Outcome, sent: &[&[u8]]) -> Result<(), Error> {
        let destination = &self.namespace.destination;
        if let Some(error) = outcome.errors.iter().find(|error| error.is_transient()) {
            return Err(error.clone().into_error().into());
        }
        if !is_clustered(&self.namespace.options) {
            return Ok(outcome.refuse_but_duplicates(destination)?);
        }
        for error in &outcome.errors {
            let document = sent.get(error.index).ok_or(raw::Malformed)?;
            let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
            let collection = on_destination(&self.namespace);
            let id = id_document(id.kind, id.value)?;
            if !has_document(self.database().reads(), &collection, id).await? {
                return Err(error.clone().refusal(destination).into());
            }
        }
        Ok(())
    }

    fn database(&self) -> DestinationDatabase {
        self.context
            .destination
            .database(&self.namespace.destination.database)
    }

    /// Opens the collection by its UUID, whatever it is called by now. `None` if
    /// it was dropped since the start: the change stream will say so.
    async fn open(
        &self,
        read: Read,
        partition: &PartitionDocument,
    ) -> Result<Option<RawBatchCursor>, Error> {
        let mut name = self.namespace.source.collection.clone();
        let database = self
            .context
            .source
            .database(&self.namespace.source.database);
        let find = Find {
            uuid: self
                .namespace
                .uuid()
                .ok_or(mongo::Error::Reply("info.uuid"))?,
            after: self.after,
            batch_documents: self.batch_documents(),
        };
        loop {
            let command = find.command(&name, read, partition);
            let batch_size = u32::try_from(self.batch_documents()).unwrap_or(u32::MAX);
            let opened = database
                .run_raw_cursor_command(command)
                .batch_size(batch_size)
                .batch()
                .into_future();
            let opened = tokio::time::timeout(ANSWER, opened).await;
            match opened.map_err(|_elapsed| mongo::Error::NoAnswer(ANSWER))? {
                Ok(cursor) => return Ok(Some(cursor)),
                Err(error) => {
                    let error = mongo::Error::from(error);
                    match error.whereabouts(&name) {
                        Some(Whereabouts::Renamed(actual)) => name = actual,
                        Some(Whereabouts::Gone) => return Ok(None),
                        None => return Err(error.into()),
                    }
                }
            }
        }
    }

    fn batch_documents(&self) -> u64 {
        (BATCH_BYTES / self.average_bytes).clamp(1, MAX_BATCH_DOCUMENTS)
    }
}

/// True if the collection has a document with this `_id`.
async fn has_document(
    database: &mongo::Database,
    collection: &CollectionRef,
    id: RawDocumentBuf,
) -> Result<bool, mongo::Error> {
    let name = collection.namespace.collection.as_str();
    let mut find = rawdoc! { "find": name, "filter": id, "limit": 1 };
    collection.append_uuid(&mut find);
    let found = Repeat::quick(database.at(), "look a duplicate up").run(|| async {
        let mut batches = database
            .run_raw_cursor_command(find.clone())
            .batch()
            .await?;
        match batches.next().await {
            Some(batch) => Ok(batch?.doc_slices()?.into_iter().next().is_some()),
            None => Ok(false),
        }
    });
    found.await
}

/// True for what reading on behind the last document overcomes; a capped
/// collection may have evicted the document that the cursor stood on.
fn passes(error: &mongo::Error) -> bool {
    error.kind() == ErrorKind::Transient || error.has_code(code::CAPPED_POSITION_LOST)
}

/// The insert commands for `documents` and what each holds: nearly always one, made by one copy
/// of the array where there is one.
fn commands<'d>(
    collection: &CollectionRef,
    documents: &'d [&'d [u8]],
    array: Option<&[u8]>,
) -> Vec<(WriteCommand, &'d [&'d [u8]])> {
    const FRAME: usize = 1024;
    let count = documents.len();
    let insert = || WriteCommand::insert(collection);
    if let Some(array) = array.filter(|array| count == 1 || array.len() + FRAME < MAX_COMMAND_BYTES)
    {
        let mut command = insert().expecting(array.len() + FRAME);
        command.push_array(array, count);
        return vec![(command, documents)];
    }
    let bytes = documents.iter().map(|document| document.len() + 16).sum();
    let mut command = insert().expecting(bytes);
    let (mut commands, mut rest) = (Vec::new(), documents);
    for document in documents {
        if !command.has_room_for(document.len()) {
            let (sent, behind) = rest.split_at(command.statements());
            commands.push((std::mem::replace(&mut command, insert()), sent));
            rest = behind;
        }
        command.push(document);
    }
    commands.push((command, rest));
    commands
}
