//! Looks up documents on the source as they are now.
//!
//! The read is a snapshot read, so that the time it is of is known exactly
//! (`atClusterTime`); events up to that time are then passed over. Documents of capped collections
//! cannot be read so, and of those whose `_id` equals others under a collation no event may be passed over: they are
//! read with read concern majority, and no time is given for them, which is why their updates are never deltas.
//!
//! One reply of the server is taken at a time, within the byte budget of the sync. What did not fit in it is
//! looked up next.

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

/// Documents of one look-up are aimed at this size together.
const CHUNK_BYTES: usize = 4 << 20;
const MAX_CHUNK: usize = 1_000;
/// Small enough for the largest documents, until their size is known.
const FIRST_CHUNK: usize = 8;

/// Documents that were looked up: the time that they are of, if it is known, and their share of the byte
/// budget, to be kept until they are written.
pub(super) struct LookUpResult {
    pub(super) time: Option<ClusterTime>,
    pub(super) _share: Share,
}

/// The first reply to a find.
struct LookUpReply {
    reply: Option<RawReply>,
    time: Option<ClusterTime>,
    /// Documents did not fit in it.
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
}

pub(super) struct LookUpReader {
    source: Client,
    budget: Budget,
    /// Documents that are looked up at once: follows their size.
    chunk: usize,
}

impl LookUpReader {
    pub(super) fn new(source: Client, budget: Budget) -> Self {
        Self {
            source,
            budget,
            chunk: FIRST_CHUNK,
        }
    }

    /// Gives the first entries the source's current documents, or a deletion where there
    /// is none. Slots that are still to be looked up did not fit. All have to be strict, or none.
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
        let ids = entries.iter().take(self.chunk);
        let ids: Vec<_> = ids.map(|entry| (entry.id_kind, entry.id)).collect();
        let reply = self.find(tracked, &ids, at_least).await?;
        let mut documents = HashMap::with_capacity(ids.len());
        let mut bytes = 0;
        if let Some(reply) = &reply.reply {
            share.keep(reply.bytes().len());
            for document in reply.documents()? {
                let document = document?;
                let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
                documents.insert(DocumentKey::new(id.kind, id.value), document);
                bytes += document.len();
            }
        }
        for entry in entries.iter_mut().take(ids.len()) {
            // The chunk is halved then, so that it comes to its end.
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
        // A collection that is gone holds nothing: the event that says so will come.
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

/// The fields of the `find` but for the collection's name and its UUID.
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
        // One more than there are: only a reply that is full leaves the cursor open.
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
