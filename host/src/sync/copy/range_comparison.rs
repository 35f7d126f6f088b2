//! The comparison of a partition on both clusters. It writes nothing: the keys of documents that
//! differ are parked, and the appliers look them up when the partition is done.
//!
//! Both clusters are read in the order of `_id`. Documents are matched by their keys, so that the
//! host need not know the order: a document waits in memory until its counterpart is read.

use std::collections::{HashMap, hash_map::Entry};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Error,
    find::{FindCommand, ReadMode},
    worker::{ANSWER, FIRST_PAUSE, LAST_PAUSE, PartitionCopier, PartitionEnd, passes},
};
use crate::{
    metadata::PartitionDocument,
    model::{
        ClusterTime,
        document_key::{DocumentKey, OwnedDocumentKey},
        raw,
    },
    mongo::{RawCursor, RawReader, listing, outage},
    observe::failpoint,
    plugin::Outcome,
    sync::{catalog::destination::on_destination, partitions::ParkedKey, transformation},
};

/// Documents that one side may be ahead of the other.
const AHEAD: usize = 50_000;

/// A document that waits for its counterpart.
struct WaitingDocument {
    key: ParkedKey,
    digest: [u8; 32],
}

/// The documents of one side that wait.
type WaitingDocuments = HashMap<OwnedDocumentKey, WaitingDocument>;

/// The documents of both sides that wait for each other, and those that differ.
#[derive(Default)]
struct RangeMatcher {
    source: WaitingDocuments,
    destination: WaitingDocuments,
    differing: Vec<ParkedKey>,
    documents: i64,
    bytes: i64,
}

/// Compares `partition`, and sets its end. Returns `false` if the destination has no documents of
/// it, so that it can be copied. A suspect partition is compared in any case: a late insert of its
/// earlier copy would bring an older version of a document.
pub(super) async fn compare_range(
    copier: &PartitionCopier<'_>,
    partition: &PartitionDocument,
    generation: u64,
    end: &mut PartitionEnd,
) -> Result<bool, Error> {
    failpoint("comparison_begun");
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    let matcher = loop {
        match compare_reads(copier, partition).await {
            Ok(Some(matcher)) => break matcher,
            Ok(None) => return Ok(false),
            Err(Error::Mongo(error)) if passes(&error) && begun.elapsed() < outage() => {
                tracing::info!(namespace = %copier.namespace.source, error = %error, "comparison begins again after an interruption");
                let _ = tokio::time::timeout(pause, copier.asked_to_leave()).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            Err(Error::Cancelled) => {
                copier.context.check_cancelled()?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    };
    let Some(uuid) = copier.namespace.uuid() else {
        return Ok(true);
    };
    let (documents, bytes) = (matcher.documents, matcher.bytes);
    let differing = matcher.into_differing();
    let to_u64 = |n: i64| u64::try_from(n).unwrap_or_default();
    let status = &copier.context.status;
    let (compared, size) = (to_u64(documents), to_u64(bytes));
    status.compared(compared, size, differing.len() as u64);
    status.copied(&copier.namespace.source, compared, size);
    copier
        .context
        .partitions
        .park((uuid, generation), &partition.id, differing);
    *end = PartitionEnd::Done(PartitionDocument {
        done: true,
        documents,
        bytes,
        ..partition.clone()
    });
    Ok(true)
}

/// Compares all documents of a partition; `None` if the destination has none of them.
async fn compare_reads(
    copier: &PartitionCopier<'_>,
    partition: &PartitionDocument,
) -> Result<Option<RangeMatcher>, Error> {
    let mut matcher = RangeMatcher::default();
    let reads = ReadMode::all(false, partition);
    let is_only = reads.len() == 1;
    for read in reads {
        let has_documents = compare_read(copier, read, partition, &mut matcher).await?;
        if is_only && !has_documents && !partition.suspect {
            return Ok(None);
        }
    }
    Ok(Some(matcher))
}

/// Compares the documents of one read. Returns at once with `false` if the destination has none of
/// them.
async fn compare_read(
    copier: &PartitionCopier<'_>,
    read: ReadMode,
    partition: &PartitionDocument,
    matcher: &mut RangeMatcher,
) -> Result<bool, Error> {
    let mut destination = open_destination(copier, read, partition).await?;
    let is_empty = match &mut destination {
        Some(cursor) => !matcher.take_destination(copier, cursor).await?,
        None => true,
    };
    if is_empty
        && !partition.suspect
        && !matches!(read, ReadMode::MaxKey)
        && partition.upper.is_some()
    {
        return Ok(false);
    }
    destination = destination.filter(|_| !is_empty);
    let mut source = copier.open(read, partition).await?;
    while source.is_some() || destination.is_some() {
        copier.pace().await?;
        if matcher.destination.len() <= AHEAD || source.is_none() {
            let has_more = match &mut destination {
                Some(cursor) => matcher.take_destination(copier, cursor).await?,
                None => false,
            };
            destination = destination.filter(|_| has_more);
        }
        if matcher.source.len() <= AHEAD || destination.is_none() {
            let has_more = match &mut source {
                Some(cursor) => matcher.take_source(copier, cursor).await?,
                None => false,
            };
            source = source.filter(|_| has_more);
        }
    }
    Ok(!is_empty)
}

async fn open_destination(
    copier: &PartitionCopier<'_>,
    read: ReadMode,
    partition: &PartitionDocument,
) -> Result<Option<RawCursor>, Error> {
    let collection = on_destination(&copier.namespace);
    // A primary that was just elected may have an older state than a majority has acknowledged.
    let after = listing::operation_time(&copier.context.destination.reads()).await?;
    let find = FindCommand {
        after,
        batch_documents: copier.batch_documents(),
    };
    let batch_size = u32::try_from(copier.batch_documents()).unwrap_or(u32::MAX);
    let database = copier.database().reads().clone();
    let reader = RawReader::new(database, collection);
    let fields = find.fields(read, partition);
    Ok(reader.follow(&fields, batch_size, ANSWER).await?)
}

impl RangeMatcher {
    /// Takes the next batch of the destination. Returns `false` at the end.
    async fn take_destination(
        &mut self,
        copier: &PartitionCopier<'_>,
        cursor: &mut RawCursor,
    ) -> Result<bool, Error> {
        let Some(batch) = copier.read(cursor).await? else {
            return Ok(false);
        };
        for document in batch.reply.documents()? {
            let (key, waiting) = waiting(document?)?;
            let (others, own) = (&mut self.source, &mut self.destination);
            matched(others, own, &mut self.differing, key, waiting);
        }
        Ok(true)
    }

    /// Takes the next batch of the source, as the plugins leave it. Returns `false` at the end.
    async fn take_source(
        &mut self,
        copier: &PartitionCopier<'_>,
        cursor: &mut RawCursor,
    ) -> Result<bool, Error> {
        let Some(batch) = copier.read(cursor).await? else {
            return Ok(false);
        };
        let documents: Vec<&[u8]> = batch.reply.documents()?.collect::<Result<_, _>>()?;
        self.documents += i64::try_from(documents.len()).unwrap_or_default();
        self.bytes += i64::try_from(batch.reply.array()?.len()).unwrap_or_default();
        let transformed = match &copier.chain {
            Some(chain) => Some(transformation::transform(chain, &documents)?),
            None => None,
        };
        let mut outcomes = transformed.as_ref().map(|it| it.outcomes());
        for document in &documents {
            let outcome = outcomes.as_mut().and_then(Iterator::next);
            let (key, waiting) = match outcome {
                Some(Outcome::Replaced(replacement)) => waiting(replacement)?,
                Some(Outcome::Drop) => continue,
                // The look-up puts it into quarantine.
                Some(Outcome::Quarantined(_)) => {
                    self.differing.push(waiting(document)?.1.key);
                    continue;
                }
                Some(Outcome::Keep) | None => waiting(document)?,
            };
            let (others, own) = (&mut self.destination, &mut self.source);
            matched(others, own, &mut self.differing, key, waiting);
        }
        Ok(true)
    }

    /// The documents that differ, after both sides were read.
    fn into_differing(mut self) -> Vec<ParkedKey> {
        let missing = self
            .source
            .into_values()
            .chain(self.destination.into_values());
        self.differing.extend(missing.map(|waiting| waiting.key));
        self.differing
    }
}

/// Matches a document with its counterpart among those of the other side, or lets it wait.
fn matched(
    others: &mut WaitingDocuments,
    own: &mut WaitingDocuments,
    differing: &mut Vec<ParkedKey>,
    key: OwnedDocumentKey,
    document: WaitingDocument,
) {
    match others.entry(key) {
        Entry::Occupied(other) => {
            if other.remove().digest != document.digest {
                differing.push(document.key);
            }
        }
        Entry::Vacant(vacant) => {
            own.insert(vacant.into_key(), document);
        }
    }
}

fn waiting(document: &[u8]) -> Result<(OwnedDocumentKey, WaitingDocument), Error> {
    let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
    let waiting = WaitingDocument {
        key: ParkedKey {
            id_kind: id.kind,
            id: id.value.into(),
            time: ClusterTime::default(),
            order: None,
        },
        digest: Sha256::digest(document).into(),
    };
    Ok((DocumentKey::new(id.kind, id.value).into_owned(), waiting))
}
