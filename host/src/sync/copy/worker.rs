//! The copy of one partition: raw batches are read and written as they are.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::{
    Context, Error,
    find::{FindCommand, ReadMode},
};
use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::{ClusterTime, ErrorKind, ErrorName, OperatorError, raw},
    mongo::{
        self, DestinationDatabase, RawCursor, RawReader, RawReply, code, outage,
        write::CollectionRef,
    },
    observe::{copy_batch_span, failpoint},
    plugin::{NamespaceChain, Outcome},
    sync::{
        budget::Share,
        catalog::options::is_capped,
        partitions::Stay,
        quarantine::{NamespaceRef, id_document},
        transformation,
    },
};

/// The aimed size of a batch in bytes: large enough to make the cost of a command negligible, small
/// enough for memory (docs/performance.md).
const BATCH_BYTES: u64 = 1 << 20;

/// The most documents in a batch; the server accepts up to 100,000.
const MAX_BATCH_DOCUMENTS: u64 = 20_000;

/// How often a partition's progress is persisted while it is copied.
const PERSIST_EVERY: Duration = Duration::from_secs(1);

/// The time for an answer of the source.
pub(super) const ANSWER: Duration = Duration::from_secs(120);

/// Pauses between attempts of a copy that makes no progress.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(5);

/// How often a capped collection may overwrite the document that is being read.
const MAX_LOST: u32 = 100;

/// Copies partitions of one collection.
pub(super) struct PartitionCopier<'a> {
    pub(super) context: &'a Context,
    pub(super) namespace: NamespaceDocument,
    /// The plugins that see the collection's documents; `None` without plugins.
    pub(super) chain: Option<NamespaceChain>,
    /// The average size of a document in bytes, at least 1.
    pub(super) average_bytes: u64,
    /// Reads see every write up to this time.
    pub(super) after: ClusterTime,
    /// The worker's stay in the collection; `None` where no event loop runs.
    pub(super) stay: Option<&'a Stay>,
}

/// How the copy of a partition ended.
pub(super) enum PartitionEnd {
    /// Every document was read, and is durable or parked.
    Done(PartitionDocument),
    /// The collection was withdrawn: the partition is put back with its progress.
    Left(PartitionDocument),
}

/// A batch and its share of the memory budget.
pub(super) struct SourceBatch {
    pub(super) reply: RawReply,
    _share: Share,
}

/// A partition that is being copied.
struct PartitionProgress {
    partition: PartitionDocument,
    /// Documents and bytes that `/progress` counts. Only persisted progress is counted, so no crash
    /// takes it back.
    counted: (i64, i64),
}

impl PartitionCopier<'_> {
    /// Copies the rest of `partition` and returns it to be persisted. A broken cursor or write is
    /// repeated after the last durable document, until nothing has progressed for as long as an
    /// outage may take.
    ///
    /// Not cancel safe on its own: a dropped copy leaves the partition as begun, which makes it
    /// suspect when work begins again.
    pub(super) async fn run(&self, partition: PartitionDocument) -> Result<PartitionEnd, Error> {
        let counted = (partition.documents, partition.bytes);
        let mut progress = PartitionProgress { partition, counted };
        let (mut moved, mut pause, mut lost) = (Instant::now(), FIRST_PAUSE, 0);
        loop {
            let before = progress.partition.documents;
            let copied = self.copy(&mut progress).await;
            if progress.partition.documents > before {
                (moved, pause) = (Instant::now(), FIRST_PAUSE);
            }
            match copied {
                Ok(()) => break,
                Err(Error::Mongo(error)) if passes(&error) && moved.elapsed() < outage() => {
                    tracing::info!(namespace = %self.namespace.source, error = %error, "copy goes on after an interruption");
                    // A stop is noticed by the next attempt.
                    let _ = tokio::time::timeout(pause, self.asked_to_leave()).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                    lost += u32::from(error.has_code(code::CAPPED_POSITION_LOST));
                    self.begin_again(&mut progress, lost)?;
                }
                Err(error) => {
                    if progress.partition.begun {
                        self.persist(&mut progress).await?;
                    }
                    self.context.check_cancelled()?;
                    return match error {
                        Error::Cancelled => Ok(PartitionEnd::Left(progress.partition)),
                        error => Err(error),
                    };
                }
            }
        }
        (progress.partition.done, progress.partition.begun) = (true, false);
        self.count(&mut progress);
        Ok(PartitionEnd::Done(progress.partition))
    }

    /// Ends work that has to leave the collection, or is cancelled.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(super) fn check_leaving(&self) -> Result<(), Error> {
        self.context.check_cancelled()?;
        match self.stay {
            Some(stay) if stay.must_leave() => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Waits for as long as the load of the clusters demands. A worker that has to leave does not
    /// wait.
    pub(super) async fn pace(&self) -> Result<(), Error> {
        tokio::select! {
            () = self.context.throttle.pace_copy() => {}
            () = self.asked_to_leave() => {}
        }
        self.check_leaving()
    }

    /// Completes when the worker has to leave, or the work is cancelled.
    pub(super) async fn asked_to_leave(&self) {
        let withdrawn = async {
            match self.stay {
                Some(stay) => stay.withdrawn().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = withdrawn => {}
            () = self.context.cancel.cancelled() => {}
        }
    }

    /// Starts a capped collection from its beginning. A collection that is overwritten faster than
    /// it is read would never be finished, so the number of starts is bounded.
    fn begin_again(&self, progress: &mut PartitionProgress, lost: u32) -> Result<(), Error> {
        if !is_capped(&self.namespace.options) {
            return Ok(());
        }
        (progress.partition.documents, progress.partition.bytes) = (0, 0);
        if lost < MAX_LOST {
            return Ok(());
        }
        Err(OperatorError::new(
            ErrorName::CollectionNotSupported,
            format!(
                "The capped collection {} is overwritten faster than it can be copied: {lost} attempts have not reached its end. \
                 Make it larger (collMod with cappedSize), or exclude it with excludeNamespaces.",
                self.namespace.source
            ),
        )
        .into())
    }

    async fn copy(&self, progress: &mut PartitionProgress) -> Result<(), Error> {
        for read in ReadMode::all(is_capped(&self.namespace.options), &progress.partition) {
            self.copy_read(read, progress).await?;
        }
        Ok(())
    }

    async fn persist(&self, progress: &mut PartitionProgress) -> Result<(), Error> {
        self.context
            .store
            .put_partition(&progress.partition)
            .await?;
        self.count(progress);
        Ok(())
    }

    fn count(&self, progress: &mut PartitionProgress) {
        let PartitionProgress { partition, counted } = progress;
        let more = |now: i64, before: i64| u64::try_from(now - before).unwrap_or_default();
        let documents = more(partition.documents, counted.0);
        let bytes = more(partition.bytes, counted.1);
        let status = &self.context.status;
        status.copied(&self.namespace.source, documents, bytes);
        *counted = (partition.documents, partition.bytes);
    }

    /// Reads the next batch while the previous batch is written.
    async fn copy_read(
        &self,
        read: ReadMode,
        progress: &mut PartitionProgress,
    ) -> Result<(), Error> {
        let Some(mut cursor) = self.open(read, &progress.partition).await? else {
            return Ok(());
        };
        let mut persisted = Instant::now();
        let mut batch = self.read(&mut cursor).await?;
        while let Some(current) = batch.take() {
            self.pace().await?;
            if !progress.partition.begun {
                progress.partition.begun = true;
                self.persist(progress).await?;
                failpoint("partition_begun");
            }
            let (written, next) = tokio::join!(
                self.write(&current, &mut progress.partition),
                self.read(&mut cursor)
            );
            written?;
            drop(current);
            failpoint("copy_batch_inserted");
            if persisted.elapsed() > PERSIST_EVERY {
                self.persist(progress).await?;
                persisted = Instant::now();
            }
            batch = next?;
        }
        Ok(())
    }

    /// The next batch; `None` at the end. A worker that has to leave does not wait for it.
    pub(super) async fn read(&self, cursor: &mut RawCursor) -> Result<Option<SourceBatch>, Error> {
        let next = async {
            let share = self.context.copy_budget.reserve().await;
            Ok::<_, Error>((share, cursor.next_within(ANSWER).await?))
        };
        let (mut share, reply) = tokio::select! {
            biased;
            next = next => next?,
            () = self.asked_to_leave() => return Err(Error::Cancelled),
        };
        let Some(reply) = reply else {
            return Ok(None);
        };
        share.keep(reply.bytes().len());
        Ok(Some(SourceBatch {
            reply,
            _share: share,
        }))
    }

    /// Writes a batch and, when it is durable, moves the partition's progress past it.
    async fn write(
        &self,
        batch: &SourceBatch,
        partition: &mut PartitionDocument,
    ) -> Result<(), Error> {
        let array = batch.reply.array()?;
        let documents: Vec<&[u8]> = raw::documents(array)?.collect::<Result<_, _>>()?;
        let Some(last) = documents.last() else {
            return Ok(());
        };
        let begun = Instant::now();
        let write = async {
            match &self.chain {
                Some(chain) => self.write_transformed(chain, array, &documents).await,
                None => self.insert(&documents, Some(array), 0).await,
            }
        };
        let span = copy_batch_span(documents.len(), array.len());
        let written = write.instrument(span).await;
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
        self.context.status.record_copy_latency(begun.elapsed());
        self.context.status.has_moved();
        Ok(())
    }

    async fn write_transformed(
        &self,
        chain: &NamespaceChain,
        array: &[u8],
        documents: &[&[u8]],
    ) -> Result<(), Error> {
        let transformed = transformation::transform(chain, documents)?;
        if transformed.is_unchanged() {
            return self.insert(documents, Some(array), 0).await;
        }
        let mut kept = Vec::with_capacity(documents.len());
        let mut faulty = Vec::new();
        for (document, outcome) in documents.iter().zip(transformed.outcomes()) {
            match outcome {
                Outcome::Keep => kept.push(*document),
                Outcome::Replaced(replacement) => kept.push(replacement),
                Outcome::Drop => {}
                Outcome::Quarantined(fault) => faulty.push((*document, fault)),
            }
        }
        let namespace_ref = NamespaceRef {
            namespace_id: &self.namespace.id,
            source: &self.namespace.source,
        };
        let (quarantine, status) = (&self.context.quarantine, &self.context.status);
        quarantine.put(status, namespace_ref, &faulty).await?;
        self.insert(&kept, None, 0).await
    }

    /// The collection's database on the destination.
    pub(super) fn database(&self) -> DestinationDatabase {
        self.context
            .destination
            .database(&self.namespace.destination.database)
    }

    /// Opens the collection by its UUID, under its current name. `None` if it was dropped since the
    /// start: a later change event reports the drop.
    pub(super) async fn open(
        &self,
        read: ReadMode,
        partition: &PartitionDocument,
    ) -> Result<Option<RawCursor>, Error> {
        let source = &self.namespace.source;
        let uuid = self.namespace.uuid();
        let collection = CollectionRef {
            namespace: source.clone(),
            uuid: Some(uuid.ok_or(mongo::Error::Reply("info.uuid"))?),
        };
        let find = FindCommand {
            after: self.after,
            batch_documents: self.batch_documents(),
        };
        let batch_size = u32::try_from(self.batch_documents()).unwrap_or(u32::MAX);
        let database = self.context.source.database(&source.database);
        let reader = RawReader::new(database, collection);
        let fields = find.fields(read, partition);
        tokio::select! {
            biased;
            opened = reader.follow(&fields, batch_size, ANSWER) => Ok(opened?),
            () = self.asked_to_leave() => Err(Error::Cancelled),
        }
    }

    pub(super) fn batch_documents(&self) -> u64 {
        (BATCH_BYTES / self.average_bytes).clamp(1, MAX_BATCH_DOCUMENTS)
    }
}

/// Whether reading on after the last document overcomes the error. A capped collection may have
/// evicted the document that the cursor stood on.
pub(super) fn passes(error: &mongo::Error) -> bool {
    error.kind() == ErrorKind::Transient || error.has_code(code::CAPPED_POSITION_LOST)
}
