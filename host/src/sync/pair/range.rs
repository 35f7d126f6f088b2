//! The comparison of a partition: both clusters are read in the order of `_id`, and keys whose documents differ go to
//! the settlement, which decides about them.
//!
//! A cursor that breaks is opened again after the last document whose counterpart is known. Each opening is a snapshot
//! read at the newest time of its cluster, but for capped collections, which take none, and for collections with a
//! collation, which are read again from the beginning of the partition.

use std::{sync::Arc, time::Duration};

use bson::{RawBson, RawDocumentBuf, Timestamp, rawdoc};
use tokio::time::Instant;

use super::{
    clusters::ClusterPair,
    collection::{CollectionPair, CollectionPartition, Expectation},
    ledger::{Ledger, OpenPartition},
    settling::Settlement,
};
use crate::{
    model::{ClusterTime, ErrorKind, raw},
    mongo::{self, RawCursor, RawReply, outage},
    observe::failpoint,
    sync::{
        Error,
        comparison::{MergeStep, OwnedKey, RangeMatch, RangeMerge, Side},
        copy::append_bounds,
        quarantine::id_document,
    },
};

/// The aimed size of a batch in bytes, and the most documents in it.
const BATCH_BYTES: u64 = 2 << 20;
const MAX_BATCH_DOCUMENTS: u64 = 20_000;
/// The time for an answer of a cluster.
const ANSWER: Duration = Duration::from_secs(120);
/// Pauses between attempts that make no progress.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// The end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeEnd {
    /// It was read on both sides.
    Complete,
    /// A cluster no longer has the collection.
    Gone,
    /// The verification ends at its bound of mismatches.
    CutShort,
}

/// The comparison of a partition.
pub(super) struct RangeComparison<'a> {
    pair: &'a ClusterPair,
    ledger: &'a Ledger,
    settlement: &'a Settlement,
    collection: Arc<CollectionPair>,
    partition: OpenPartition,
    /// The `_id` up to which all counterparts are known, or the lower bound.
    from: Option<RawDocumentBuf>,
    /// The end of the last batch.
    moved: Instant,
}

/// The documents of one side of a partition.
struct SideReader {
    side: Side,
    cursor: Option<RawCursor>,
    /// The read of the `_id` MaxKey, which a range with a lower bound alone leaves out.
    then_max_key: bool,
    at: ClusterTime,
}

impl<'a> RangeComparison<'a> {
    pub(super) fn new(
        pair: &'a ClusterPair,
        (ledger, settlement): (&'a Ledger, &'a Settlement),
        CollectionPartition {
            collection,
            partition,
        }: CollectionPartition,
    ) -> Self {
        let (from, moved) = (partition.lower.clone(), Instant::now());
        Self {
            pair,
            ledger,
            settlement,
            collection,
            partition,
            from,
            moved,
        }
    }

    /// Compares the partition. Transient failures are repeated until nothing has moved for the time of an outage.
    pub(super) async fn run(&mut self) -> Result<RangeEnd, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = self.moved;
            let compared = match self.collection.is_collated {
                true => self.match_keys().await,
                false => self.merge().await,
            };
            match compared {
                Err(Error::Mongo(error))
                    if error.kind() == ErrorKind::Transient && self.moved.elapsed() < outage() =>
                {
                    if self.moved > begun {
                        pause = FIRST_PAUSE;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                other => return other,
            }
        }
    }

    /// Compares in the order of `_id`, which the host knows.
    async fn merge(&mut self) -> Result<RangeEnd, Error> {
        let Some((mut source, mut destination)) = self.open().await? else {
            return Ok(RangeEnd::Gone);
        };
        let mut merge = RangeMerge::default();
        while let Some(side) = merge.wants() {
            if self.ledger.is_cut_short() {
                return Ok(RangeEnd::CutShort);
            }
            match side {
                Side::Source => {
                    let reply = source.next(self).await?;
                    let differing = self.push_source(&mut merge, reply)?;
                    self.settle(differing).await?;
                }
                Side::Destination => match destination.next(self).await? {
                    Some(reply) => merge.push_reply(Side::Destination, reply)?,
                    None => merge.end(Side::Destination),
                },
            }
            let differing = self.take_steps(&mut merge)?;
            self.settle(differing).await?;
            failpoint("verify_batch_compared");
        }
        Ok(RangeEnd::Complete)
    }

    /// Adds a batch of the source to the merge. Returns the keys of documents that a plugin cannot handle.
    fn push_source(
        &self,
        merge: &mut RangeMerge,
        reply: Option<RawReply>,
    ) -> Result<Vec<OwnedKey>, Error> {
        let Some(reply) = reply else {
            merge.end(Side::Source);
            return Ok(Vec::new());
        };
        let documents = reply.documents()?.collect::<Result<Vec<_>, _>>()?;
        let mut quarantined = Vec::new();
        self.collection
            .expect(&documents, |document, expectation| {
                match expectation {
                    Expectation::Document(expected) => merge.push(Side::Source, [expected])?,
                    Expectation::Absent => {}
                    Expectation::Quarantined => quarantined.push(key_of(document)?),
                }
                Ok(())
            })?;
        Ok(quarantined)
    }

    /// Takes the steps of the merge that are certain. Returns the keys of documents that differ.
    fn take_steps(&mut self, merge: &mut RangeMerge) -> Result<Vec<OwnedKey>, Error> {
        let (mut documents, mut bytes) = (0, 0);
        let mut differing = Vec::new();
        while let Some(step) = merge.next()? {
            let document = match step {
                MergeStep::Equal(document)
                | MergeStep::Different(document, _)
                | MergeStep::OnlySource(document) => {
                    documents += 1;
                    bytes += document.len() as u64;
                    document
                }
                MergeStep::OnlyDestination(document) => document,
            };
            if !matches!(step, MergeStep::Equal(_)) {
                differing.push(key_of(document)?);
            }
        }
        self.ledger.compared(&self.partition.id, documents, bytes);
        if let Some((id_kind, id)) = merge.last_id() {
            self.from = Some(id_document(id_kind, id)?);
            self.moved = Instant::now();
        }
        Ok(differing)
    }

    /// Compares by keys, where a collation hides the order of `_id`s.
    async fn match_keys(&mut self) -> Result<RangeEnd, Error> {
        self.ledger.begin_again(&self.partition.id);
        let Some((mut source, mut destination)) = self.open().await? else {
            return Ok(RangeEnd::Gone);
        };
        let mut range = RangeMatch::default();
        let (mut source_ended, mut destination_ended) = (false, false);
        while !source_ended || !destination_ended {
            if self.ledger.is_cut_short() {
                return Ok(RangeEnd::CutShort);
            }
            let is_source = match range.shorter() {
                Side::Source => !source_ended,
                Side::Destination => destination_ended,
            };
            let reader = if is_source {
                &mut source
            } else {
                &mut destination
            };
            let reply = reader.next(self).await?;
            let Some(reply) = reply else {
                *(if is_source {
                    &mut source_ended
                } else {
                    &mut destination_ended
                }) = true;
                continue;
            };
            let differing = self.push_keys(&mut range, is_source, &reply)?;
            self.settle(differing).await?;
            self.moved = Instant::now();
        }
        self.settle(range.finish()).await?;
        Ok(RangeEnd::Complete)
    }

    /// Adds a batch. Returns the keys of documents that may differ.
    fn push_keys(
        &self,
        range: &mut RangeMatch,
        is_source: bool,
        reply: &RawReply,
    ) -> Result<Vec<OwnedKey>, Error> {
        let documents = reply.documents()?.collect::<Result<Vec<_>, _>>()?;
        let mut differing = Vec::new();
        if is_source {
            let bytes = documents.iter().map(|document| document.len() as u64).sum();
            self.ledger
                .compared(&self.partition.id, documents.len() as u64, bytes);
            self.collection
                .expect(&documents, |document, expectation| {
                    match expectation {
                        Expectation::Document(expected) => range.push(Side::Source, expected)?,
                        Expectation::Absent => {}
                        Expectation::Quarantined => differing.push(key_of(document)?),
                    }
                    Ok(())
                })?;
        } else {
            for document in documents {
                range.push(Side::Destination, document)?;
            }
        }
        differing.extend(range.take());
        Ok(differing)
    }

    /// Gives keys to the settlement. Waiting for its room is no failure of a cluster.
    async fn settle(&mut self, keys: Vec<OwnedKey>) -> Result<(), Error> {
        for key in keys {
            if self.ledger.is_cut_short() {
                return Ok(());
            }
            let id = &self.partition.id;
            self.settlement
                .add(self.ledger, &self.collection, (id, key))
                .await?;
            self.moved = Instant::now();
        }
        Ok(())
    }

    /// Opens both sides; `None` if one of them no longer has the collection.
    async fn open(&self) -> Result<Option<(SideReader, SideReader)>, Error> {
        let (at_source, at_destination) = self.pair.times().await?;
        let (source, destination) = tokio::join!(
            self.open_side(Side::Source, at_source),
            self.open_side(Side::Destination, at_destination)
        );
        Ok(source?.zip(destination?))
    }

    async fn open_side(&self, side: Side, at: ClusterTime) -> Result<Option<SideReader>, Error> {
        let from = match self.collection.is_collated {
            true => self.partition.lower.as_ref(),
            false => self.from.as_ref(),
        };
        let is_max_key =
            |from: &RawDocumentBuf| matches!(from.get("_id"), Ok(Some(bson::RawBsonRef::MaxKey)));
        let mut fields = rawdoc! { "hint": { "_id": 1 } };
        if from.is_some_and(is_max_key) {
            fields = rawdoc! { "filter": { "_id": RawBson::MaxKey } };
        } else {
            append_bounds(&mut fields, from, self.partition.upper.as_ref());
        }
        let then_max_key =
            from.is_some_and(|from| !is_max_key(from)) && self.partition.upper.is_none();
        let cursor = self.find(side, fields, at).await?;
        Ok(cursor.map(|cursor| SideReader {
            side,
            cursor: Some(cursor),
            then_max_key,
            at,
        }))
    }

    /// Opens a cursor; `None` for a collection that is gone.
    async fn find(
        &self,
        side: Side,
        mut fields: RawDocumentBuf,
        at: ClusterTime,
    ) -> Result<Option<RawCursor>, mongo::Error> {
        let collection = &self.collection;
        let batch = BATCH_BYTES / collection.average_bytes;
        let batch = batch.clamp(1, MAX_BATCH_DOCUMENTS);
        let at = Timestamp::from(at);
        fields.append(
            bson::cstr!("batchSize"),
            i64::try_from(batch).unwrap_or(i64::MAX),
        );
        let read_concern = match collection.is_capped || collection.is_collated {
            true => rawdoc! { "level": "majority", "afterClusterTime": at },
            false => rawdoc! { "level": "snapshot", "atClusterTime": at },
        };
        fields.append(bson::cstr!("readConcern"), read_concern);
        let batch = u32::try_from(batch).unwrap_or(u32::MAX);
        collection
            .reader(self.pair, side)
            .follow(&fields, batch, ANSWER)
            .await
    }
}

impl SideReader {
    /// The next reply; `None` at the end.
    async fn next(&mut self, range: &RangeComparison<'_>) -> Result<Option<RawReply>, Error> {
        loop {
            if let Some(cursor) = &mut self.cursor
                && let Some(reply) = cursor.next_within(ANSWER).await?
            {
                return Ok(Some(reply));
            }
            self.cursor = None;
            if !std::mem::take(&mut self.then_max_key) {
                return Ok(None);
            }
            let fields = rawdoc! { "filter": { "_id": RawBson::MaxKey } };
            self.cursor = range.find(self.side, fields, self.at).await?;
        }
    }
}

fn key_of(document: &[u8]) -> Result<OwnedKey, raw::Malformed> {
    let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
    Ok((id.kind, Box::from(id.value)))
}
