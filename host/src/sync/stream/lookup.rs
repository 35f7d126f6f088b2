//! Look-ups: reads of documents on the source.
//!
//! A look-up is a snapshot read, so its time is known exactly (`atClusterTime`), and events up to
//! that time are ignored. A look-up of a round is at the end of the round, so that no document is
//! ahead of the events of its round and the destination can be verified as of then. Where the source
//! can no longer read there, and for parked keys, the newest documents are read. Snapshot reads do not work on
//! capped collections, which are read with read concern majority, without a time; and no event may be
//! ignored for a document whose `_id` equals others under a collation. So updates of both are never deltas.
//!
//! Each look-up takes one reply of the server, within the memory budget of the sync. Documents that
//! did not fit are looked up next.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use bson::{RawDocumentBuf, Timestamp, rawdoc};

use super::{
    Error,
    pending_write::{PendingDocument, PendingWrite},
    tracked_collections::TrackedCollection,
};
use crate::{
    model::{ClusterTime, document_key::DocumentKey, raw},
    mongo::{self, Client, Moment, RawReader, RawReply, code, write::CollectionRef},
    sync::budget::{Budget, Share},
};

/// The aimed size of a look-up in bytes.
const CHUNK_BYTES: usize = 4 << 20;
const MAX_CHUNK: usize = 1_000;
/// Small enough for the largest documents, until their size is known.
const FIRST_CHUNK: usize = 8;
/// The most bytes of `_id`s in a look-up: a part of the 16 MiB of a command, and no limit for a single `_id`.
const MAX_ID_BYTES: usize = 8 << 20;
/// How long an applier reads the newest documents after the source could not read at the end of a round.
const NEWEST_FOR: Duration = Duration::from_secs(10);
/// Names the reads in errors.
const PURPOSE: &str = "look documents up";

/// The outcome of a look-up: its time, if it is known, and its share of the memory budget, to be
/// kept until the documents are written.
pub(super) struct LookUpResult {
    /// The cluster time up to which events of the documents are ignored.
    pub(super) time: Option<ClusterTime>,
    /// The cluster time that no document is ahead of; `None` for a capped collection.
    pub(super) newest: Option<ClusterTime>,
    /// Whether the source has no collection with this UUID any more.
    pub(super) is_gone: bool,
    /// Dropped with the result, after the documents are written.
    pub(super) _share: Share,
}

/// The time of a look-up.
#[derive(Clone, Copy)]
pub(super) struct LookUpTime {
    /// The documents have every change up to this time.
    at_least: ClusterTime,
    /// The documents are as of this time, if the source can still read there.
    at: Option<ClusterTime>,
}

impl LookUpTime {
    /// The newest documents, with every change up to `at_least`.
    pub(super) fn newest(at_least: ClusterTime) -> Self {
        Self { at_least, at: None }
    }

    /// Whether the newest documents are wanted, as for parked keys.
    pub(super) fn is_newest(self) -> bool {
        self.at.is_none()
    }

    /// Documents with every change up to `at_least`, as of the end of a round.
    pub(super) fn within(at_least: ClusterTime, round_end: ClusterTime) -> Self {
        Self {
            at_least,
            at: Some(round_end.max(at_least)),
        }
    }
}

/// The first reply to a find.
struct LookUpReply {
    reply: Option<RawReply>,
    time: Option<ClusterTime>,
    /// Whether documents did not fit in the reply.
    has_more: bool,
}

impl LookUpReply {
    fn read(reply: Option<RawReply>) -> Self {
        let cursor = reply
            .as_ref()
            .and_then(|reply| reply.document().get_document("cursor").ok());
        let id = cursor.and_then(|cursor| cursor.get_i64("id").ok());
        Self {
            time: reply.as_ref().and_then(RawReply::snapshot_time),
            has_more: id.is_some_and(|id| id != 0),
            reply,
        }
    }

    /// The documents of the reply.
    fn documents(&self) -> Result<HashMap<DocumentKey<'_>, &[u8]>, Error> {
        let mut documents = HashMap::new();
        if let Some(reply) = &self.reply {
            for document in reply.documents()? {
                let document = document?;
                let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
                documents.insert(DocumentKey::new(id.kind, id.value), document);
            }
        }
        Ok(documents)
    }
}

/// Looks up documents for one applier.
pub(super) struct LookUpReader {
    source: Client,
    budget: Budget,
    /// The number of documents of a look-up. Follows their size.
    chunk: usize,
    /// Until when the newest documents are read: the source could not read at the end of a round.
    newest_until: Option<Moment>,
}

impl LookUpReader {
    /// A reader with the memory budget of the sync.
    pub(super) fn new(source: Client, budget: Budget) -> Self {
        Self {
            source,
            budget,
            chunk: FIRST_CHUNK,
            newest_until: None,
        }
    }

    /// Gives the first entries the source's current documents, or a deletion if the source has
    /// none. Entries that are still look-ups did not fit. Either all or none of the entries are
    /// strict.
    ///
    /// Cancel safe: a dropped call changes no entry.
    pub(super) async fn fill(
        &mut self,
        tracked: &TrackedCollection,
        entries: &mut [&mut PendingDocument<'_>],
        time: LookUpTime,
    ) -> Result<LookUpResult, Error> {
        debug_assert!(entries.iter().all(|entry| entry.write.is_look_up()));
        let is_strict = |entry: &PendingDocument<'_>| tracked.is_strict(entry.id_kind);
        let first = entries.first().map(|entry| is_strict(entry));
        debug_assert!(entries.iter().all(|entry| first == Some(is_strict(entry))));
        let mut share = self.budget.reserve().await;
        let ids: Vec<_> = entries
            .iter()
            .take(self.fitting(entries))
            .map(|entry| (entry.id_kind, entry.id))
            .collect();
        let reply = self.find(tracked, &ids, time).await?;
        if let Some(reply) = &reply.reply {
            share.keep(reply.bytes().len());
        }
        let documents = reply.documents()?;
        let bytes: usize = documents.values().map(|document| document.len()).sum();
        for entry in entries.iter_mut().take(ids.len()) {
            // The number is halved then, so that every document fits in the end.
            if reply.has_more && ids.len() > 1 && !documents.contains_key(&entry.key) {
                continue;
            }
            entry.reinsert = false;
            entry.write = match documents.get(&entry.key) {
                Some(document) => PendingWrite::Put {
                    document: Cow::Owned(document.to_vec()),
                    deltas: Vec::new(),
                },
                None => PendingWrite::Delete,
            };
        }
        tracing::debug!(
            namespace = %tracked.source, wanted = ids.len(), found = documents.len(), bytes,
            cluster_time = reply.time.map(tracing::field::display), has_more = reply.has_more,
            "documents looked up"
        );
        self.adapt(bytes);
        Ok(LookUpResult {
            time: reply.time.filter(|_| first == Some(false)),
            newest: reply.time,
            is_gone: reply.reply.is_none(),
            _share: share,
        })
    }

    /// The number of `entries` for the next look-up; at least 1.
    fn fitting(&self, entries: &[&mut PendingDocument<'_>]) -> usize {
        let mut bytes = 0;
        let fitting = entries.iter().take(self.chunk).take_while(|entry| {
            bytes += entry.id.len();
            bytes <= MAX_ID_BYTES
        });
        fitting.count().max(1)
    }

    fn adapt(&mut self, bytes: usize) {
        if bytes > CHUNK_BYTES {
            self.chunk = (self.chunk / 2).max(1);
        } else if bytes < CHUNK_BYTES / 4 {
            self.chunk = (self.chunk * 2).min(MAX_CHUNK);
        }
    }

    async fn find(
        &mut self,
        tracked: &TrackedCollection,
        ids: &[(u8, &[u8])],
        LookUpTime { at_least, at }: LookUpTime,
    ) -> Result<LookUpReply, mongo::Error> {
        let collection = CollectionRef {
            namespace: tracked.source.clone(),
            uuid: Some(tracked.uuid),
        };
        let database = self.source.database(&tracked.source.database);
        // A collection that is gone holds nothing; a later event reports the drop.
        let reader = RawReader::new(database, collection);
        if tracked.capped {
            let after = Timestamp::from(at_least);
            let read_concern = rawdoc! { "level": "majority", "afterClusterTime": after };
            let fields = find_fields(ids, read_concern)?;
            let reply = reader.first_reply(PURPOSE, &fields, |_| Ok(())).await?;
            return Ok(LookUpReply::read(reply));
        }
        let reads_newest = self.newest_until.is_some_and(|until| until > Moment::now());
        if let Some(at) = at.filter(|_| !reads_newest) {
            let read_concern =
                rawdoc! { "level": "snapshot", "atClusterTime": Timestamp::from(at) };
            let fields = find_fields(ids, read_concern)?;
            match reader.first_reply_at_time(PURPOSE, &fields).await {
                Err(error) if code::NOT_AT_TIME.iter().any(|code| error.has_code(*code)) => {
                    self.newest_until = Some(Moment::now() + NEWEST_FOR);
                }
                reply => return Ok(LookUpReply::read(reply?)),
            }
        }
        let fields = find_fields(ids, rawdoc! { "level": "snapshot" })?;
        let is_fresh = |reply: &RawReply| match reply.snapshot_time() {
            Some(time) if time < at_least => Err(mongo::Error::Stale),
            _ => Ok(()),
        };
        let reply = reader.first_reply(PURPOSE, &fields, is_fresh).await?;
        Ok(LookUpReply::read(reply))
    }
}

/// The fields of the `find`, without the collection's name and UUID.
fn find_fields(
    ids: &[(u8, &[u8])],
    read_concern: RawDocumentBuf,
) -> Result<RawDocumentBuf, mongo::Error> {
    let head = rawdoc! {
        // Larger by one than the number of ids: only a full reply leaves the cursor open.
        "batchSize": i32::try_from(ids.len() + 1).unwrap_or(i32::MAX),
        "readConcern": read_concern,
    };
    mongo::with_id_filter(head, ids.iter().copied())
}
