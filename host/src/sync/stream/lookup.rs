//! Looks up documents on the source as they are now.
//!
//! The read is a snapshot read, so that the time it is of is known exactly
//! (`atClusterTime`); events up to that time are then passed over. Capped
//! collections cannot be read so: they are read with read concern majority, and
//! no time is known for them, which is why their updates are never deltas.

use std::{borrow::Cow, collections::HashMap};

use bson::{Binary, RawDocument, RawDocumentBuf, rawdoc, spec::BinarySubtype};
use futures::StreamExt;
use mongodb::raw_batch_cursor::RawBatch;

use super::{
    Error,
    coalesce::{Base, Slot},
    targets::Target,
};
use crate::{
    model::{
        ClusterTime,
        document_key::DocumentKey,
        raw::{self, Writer, kind},
    },
    mongo::{self, Client, Repeat, Whereabouts},
};

/// Documents of one look-up are aimed at this size together.
const CHUNK_BYTES: usize = 4 << 20;
const MAX_CHUNK: usize = 1_000;

pub(super) struct LookUp {
    source: Client,
    /// Documents that are looked up at once: follows their size.
    chunk: usize,
}

impl LookUp {
    pub(super) fn new(source: Client) -> Self {
        Self { source, chunk: 64 }
    }

    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Gives each slot the source's current document, or a deletion where there
    /// is none. Gives the time that the documents are of, if it is known; it is
    /// not before `at_least`.
    pub(super) async fn fill(
        &mut self,
        target: &Target,
        slots: &mut [&mut Slot<'_>],
        at_least: ClusterTime,
    ) -> Result<Option<ClusterTime>, Error> {
        let ids: Vec<_> = slots.iter().map(|slot| (slot.id_kind, slot.id)).collect();
        let (batches, time) = self.find(target, &ids, at_least).await?;
        let mut documents = HashMap::with_capacity(ids.len());
        let mut bytes = 0;
        for batch in &batches {
            for document in
                raw::documents(batch.doc_slices().map_err(mongo::Error::from)?.as_bytes())?
            {
                let document = document?;
                let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
                documents.insert(DocumentKey::new(id.kind, id.value), document);
                bytes += document.len();
            }
        }
        for slot in slots.iter_mut() {
            slot.look_up = false;
            slot.deltas.clear();
            slot.reinsert = false;
            slot.base = match documents.get(&slot.key) {
                Some(document) => Base::Put(Cow::Owned(document.to_vec())),
                None => Base::Delete,
            };
        }
        self.adapt(bytes);
        Ok(time)
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
        target: &Target,
        ids: &[(u8, &[u8])],
        at_least: ClusterTime,
    ) -> Result<(Vec<RawBatch>, Option<ClusterTime>), mongo::Error> {
        let database = self.source.database(&target.source.database);
        let mut name = target.source.collection.clone();
        loop {
            let found = Repeat::slow(database.at(), "look documents up")
                .run(async || {
                    let command = find_command(&name, target, ids)?;
                    let mut cursor = database.run_raw_cursor_command(command).batch().await?;
                    let mut batches = Vec::new();
                    while let Some(batch) = cursor.next().await {
                        batches.push(batch?);
                    }
                    let time = batches
                        .first()
                        .and_then(|batch| at_cluster_time(batch.as_raw_document()));
                    if time.is_some_and(|time| time < at_least) {
                        Err(mongo::Error::Stale)
                    } else {
                        Ok((batches, time))
                    }
                })
                .await;
            match found {
                Err(error) => match error.whereabouts(&name) {
                    Some(Whereabouts::Renamed(actual)) => name = actual,
                    // The event that says so will come.
                    Some(Whereabouts::Gone) => return Ok((Vec::new(), None)),
                    None => return Err(error),
                },
                found => return found,
            }
        }
    }
}

fn find_command(
    name: &str,
    target: &Target,
    ids: &[(u8, &[u8])],
) -> Result<RawDocumentBuf, mongo::Error> {
    let level = if target.serial {
        "majority"
    } else {
        "snapshot"
    };
    let head = rawdoc! {
        "find": name,
        "collectionUUID": Binary { subtype: BinarySubtype::Uuid, bytes: target.uuid.to_vec() },
        "batchSize": i32::try_from(ids.len()).unwrap_or(i32::MAX),
        "readConcern": { "level": level },
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

fn at_cluster_time(reply: &RawDocument) -> Option<ClusterTime> {
    reply
        .get_document("cursor")
        .ok()?
        .get_timestamp("atClusterTime")
        .ok()
        .map(ClusterTime::from)
}
