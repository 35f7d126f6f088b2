//! Look-ups: reads of documents on the source as they are now.
//!
//! A look-up is a snapshot read, so its time is known exactly (`atClusterTime`), and events up to
//! that time are ignored. Snapshot reads do not work on capped collections, and no event may be
//! ignored for a document whose `_id` equals others under a collation. Such documents are read with
//! read concern majority, without a time, which is why their updates are never deltas.
//!
//! Each look-up takes one reply of the server, within the memory budget of the sync. Documents that
//! did not fit are looked up next.

use std::{borrow::Cow, collections::HashMap};

use bson::{RawDocumentBuf, Timestamp, rawdoc};

use super::{
    Error,
    pending_write::{PendingDocument, PendingWrite},
    tracked_collections::TrackedCollection,
};
use crate::{
    model::{
        ClusterTime,
        document_key::DocumentKey,
        raw::{self, Writer, kind},
    },
    mongo::{self, Client, RawReader, RawReply, write::CollectionRef},
    sync::budget::{Budget, Share},
};

/// The aimed size of a look-up in bytes.
const CHUNK_BYTES: usize = 4 << 20;
const MAX_CHUNK: usize = 1_000;
/// Small enough for the largest documents, until their size is known.
const FIRST_CHUNK: usize = 8;
/// The most bytes of `_id`s in a look-up: a part of the 16 MiB of a command, and no limit for a single `_id`.
const MAX_ID_BYTES: usize = 8 << 20;

/// The outcome of a look-up: its time, if it is known, and its share of the memory budget, to be
/// kept until the documents are written.
pub(super) struct LookUpResult {
    /// The cluster time of the documents.
    pub(super) time: Option<ClusterTime>,
    /// Dropped with the result, after the documents are written.
    pub(super) _share: Share,
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
            time: reply.as_ref().and_then(snapshot_time),
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
}

impl LookUpReader {
    /// A reader with the memory budget of the sync.
    pub(super) fn new(source: Client, budget: Budget) -> Self {
        Self {
            source,
            budget,
            chunk: FIRST_CHUNK,
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
        at_least: ClusterTime,
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
        let reply = self.find(tracked, &ids, at_least).await?;
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
            time: reply.time,
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
        &self,
        tracked: &TrackedCollection,
        ids: &[(u8, &[u8])],
        at_least: ClusterTime,
    ) -> Result<LookUpReply, mongo::Error> {
        let collection = CollectionRef {
            namespace: tracked.source.clone(),
            uuid: Some(tracked.uuid),
        };
        let database = self.source.database(&tracked.source.database);
        let fields = find_fields(tracked, ids, at_least)?;
        let is_fresh = |reply: &RawReply| match snapshot_time(reply) {
            Some(time) if time < at_least => Err(mongo::Error::Stale),
            _ => Ok(()),
        };
        // A collection that is gone holds nothing; a later event reports the drop.
        let reply = RawReader::new(database, collection)
            .first_reply("look documents up", &fields, is_fresh)
            .await?;
        Ok(LookUpReply::read(reply))
    }
}

/// The time of the snapshot that a reply was read from.
fn snapshot_time(reply: &RawReply) -> Option<ClusterTime> {
    let cursor = reply.document().get_document("cursor").ok()?;
    Some(ClusterTime::from(
        cursor.get_timestamp("atClusterTime").ok()?,
    ))
}

/// The fields of the `find`, without the collection's name and UUID.
fn find_fields(
    tracked: &TrackedCollection,
    ids: &[(u8, &[u8])],
    at_least: ClusterTime,
) -> Result<RawDocumentBuf, mongo::Error> {
    let is_strict = ids
        .first()
        .is_some_and(|(id_kind, _)| tracked.is_strict(*id_kind));
    let read_concern = match is_strict {
        true => rawdoc! { "level": "majority", "afterClusterTime": Timestamp::from(at_least) },
        false => rawdoc! { "level": "snapshot" },
    };
    let head = rawdoc! {
        // Larger by one than the number of ids: only a full reply leaves the cursor open.
        "batchSize": i32::try_from(ids.len() + 1).unwrap_or(i32::MAX),
        "readConcern": read_concern,
    };
    let mut writer = Writer::continuing(head.into_bytes());
    let filter = writer.begin(kind::DOCUMENT, b"filter");
    let id = writer.begin(kind::DOCUMENT, b"_id");
    let array = writer.begin(kind::ARRAY, b"$in");
    let mut number = itoa::Buffer::new();
    for (at, (id_kind, id)) in ids.iter().enumerate() {
        writer.value(*id_kind, number.format(at).as_bytes(), id);
    }
    writer.end(array);
    writer.end(id);
    writer.end(filter);
    Ok(RawDocumentBuf::from_bytes(writer.finish())?)
}
