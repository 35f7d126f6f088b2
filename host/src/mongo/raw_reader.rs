//! Reads of a server's batches as raw bytes: no document is parsed.
//!
//! A collection is read by its UUID. The server refuses a command whose name stands for another collection
//! (CollectionUUIDMismatch, 361) and says which name the collection has (`actualCollection`), so a renamed
//! collection can be followed. A server before 6.0 does not know the UUID beside the name, and takes it in place of the
//! name: it then reads the collection under whichever name it has. A cursor that breaks is not resumed here: the caller opens another one.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf, rawdoc};
use futures::StreamExt;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::{
    CollectionLocation, Database, Error, Retry, cluster::bounded, code, write::CollectionRef,
};
use crate::model::raw::{self, Malformed};

/// One reply of a cursor, as the server sent it.
pub struct RawReply(RawBatch);

/// An open cursor. The driver kills it on the server when it is dropped.
pub struct RawCursor(RawBatchCursor);

/// Opens cursors over one collection.
pub struct RawReader {
    database: Database,
    collection: CollectionRef,
}

impl RawReply {
    /// The whole reply.
    pub fn document(&self) -> &RawDocument {
        self.0.as_raw_document()
    }

    /// All bytes of the reply.
    pub fn bytes(&self) -> &[u8] {
        self.document().as_bytes()
    }

    /// The BSON array of the batch's documents.
    ///
    /// # Errors
    /// The reply has no batch.
    pub fn array(&self) -> Result<&[u8], Error> {
        Ok(self.0.doc_slices()?.as_bytes())
    }

    /// The documents of the batch, in order.
    ///
    /// # Errors
    /// As [`Self::array`]; an item is an error where the array is not well formed.
    pub fn documents(&self) -> Result<impl Iterator<Item = Result<&[u8], Malformed>>, Error> {
        Ok(raw::documents(self.array()?)?)
    }
}

impl RawCursor {
    /// Opens a cursor, once.
    pub async fn open(database: &Database, command: RawDocumentBuf) -> Result<Self, Error> {
        Ok(Self(
            database
                .driver()
                .run_raw_cursor_command(command)
                .batch()
                .await?,
        ))
    }

    /// Like [`Self::open`], for a change stream: each reply has at most `batch_size` events, and comes
    /// after `wait` if there is no event by then.
    pub async fn tail(
        database: &Database,
        command: RawDocumentBuf,
        batch_size: u32,
        wait: Duration,
    ) -> Result<Self, Error> {
        let cursor = database
            .driver()
            .run_raw_cursor_command(command)
            .batch_size(batch_size)
            .max_time(wait)
            .batch();
        Ok(Self(cursor.await?))
    }

    /// The next reply; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RawReply>, Error> {
        Ok(self.0.next().await.transpose()?.map(RawReply))
    }

    /// Like [`Self::next`]. A cursor that has not answered within `bound` must not be asked again.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] after `bound`.
    pub async fn next_within(&mut self, bound: Duration) -> Result<Option<RawReply>, Error> {
        bounded(Some(bound), self.next()).await
    }
}

impl RawReader {
    /// A reader of `collection`, which is in `database`.
    pub fn new(database: Database, collection: CollectionRef) -> Self {
        Self {
            database,
            collection,
        }
    }

    /// Opens a cursor under the recorded name alone. `fields` are those of the `find` but for its name and
    /// its UUID.
    ///
    /// # Errors
    /// The server's refusal where the collection has another name, or is gone.
    pub async fn open(&self, fields: &RawDocument) -> Result<RawCursor, Error> {
        let name = self.collection.namespace.collection.as_str();
        RawCursor::open(&self.database, self.find(name, fields).await?).await
    }

    /// Opens a cursor under whichever name the collection has in its database; `None` if it is gone.
    /// Each reply has at most `batch_size` documents.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] where an attempt takes longer than `bound`; nothing is repeated.
    pub async fn follow(
        &self,
        fields: &RawDocument,
        batch_size: u32,
        bound: Duration,
    ) -> Result<Option<RawCursor>, Error> {
        let mut name = self.collection.namespace.collection.clone();
        loop {
            let command = self.find(&name, fields).await?;
            let opened = async {
                let command = self.database.driver().run_raw_cursor_command(command);
                Ok(RawCursor(command.batch_size(batch_size).batch().await?))
            };
            match bounded(Some(bound), opened).await {
                Ok(cursor) => return Ok(Some(cursor)),
                Err(error) => match new_name(error, &name)? {
                    Some(actual) => name = actual,
                    None => return Ok(None),
                },
            }
        }
    }

    /// The first reply to a `find` under whichever name the collection has, asked for again until the
    /// cluster has answered and `accept` takes the reply; `None` if the collection is gone.
    ///
    /// # Errors
    /// [`Error::Outage`] at the deadline; an error of `accept` that is not transient.
    pub async fn first_reply(
        &self,
        purpose: &'static str,
        fields: &RawDocument,
        accept: impl Fn(&RawReply) -> Result<(), Error>,
    ) -> Result<Option<RawReply>, Error> {
        self.first_reply_unless(purpose, fields, accept, |_| false)
            .await
    }

    /// Like [`Self::first_reply`], for a read at a past time.
    ///
    /// # Errors
    /// The server's refusal where it has no snapshot of that time.
    pub async fn first_reply_at_time(
        &self,
        purpose: &'static str,
        fields: &RawDocument,
    ) -> Result<Option<RawReply>, Error> {
        let has_no_snapshot =
            |error: &Error| code::NOT_AT_TIME.iter().any(|code| error.has_code(*code));
        self.first_reply_unless(purpose, fields, |_| Ok(()), has_no_snapshot)
            .await
    }

    async fn first_reply_unless(
        &self,
        purpose: &'static str,
        fields: &RawDocument,
        accept: impl Fn(&RawReply) -> Result<(), Error>,
        ends: impl Fn(&Error) -> bool,
    ) -> Result<Option<RawReply>, Error> {
        let mut name = self.collection.namespace.collection.clone();
        loop {
            let read = Retry::slow(self.database.contact(), purpose)
                .run(async || {
                    let read = async {
                        let mut cursor = self.open_located(&name, fields).await?;
                        // The dropped cursor is killed on the server.
                        let reply = cursor.next().await?;
                        reply.as_ref().map_or(Ok(()), &accept)?;
                        Ok(reply)
                    };
                    match read.await {
                        Err(error) if ends(&error) => Ok(Err(error)),
                        read => read.map(Ok),
                    }
                })
                .await
                .and_then(|read| read);
            match read {
                Ok(reply) => return Ok(reply),
                Err(error) => match new_name(error, &name)? {
                    Some(actual) => name = actual,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Opens a cursor. The server refuses a snapshot read of a capped collection (246) before it compares the
    /// UUID: where another collection has the name by now, the refusal is that of a read without a snapshot.
    async fn open_located(&self, name: &str, fields: &RawDocument) -> Result<RawCursor, Error> {
        let opened = RawCursor::open(&self.database, self.find(name, fields).await?).await;
        let Err(error) = opened else {
            return opened;
        };
        if !error.has_code(code::SNAPSHOT_UNAVAILABLE) {
            return Err(error);
        }
        let plain = rawdoc! { "limit": 1, "projection": { "_id": 1 } };
        let plain = self.find(name, &plain).await?;
        match RawCursor::open(&self.database, plain).await {
            Err(located) if located.location(name).is_some() => Err(located),
            _ => Err(error),
        }
    }

    async fn find(&self, name: &str, fields: &RawDocument) -> Result<RawDocumentBuf, Error> {
        let mut command = match self.collection.uuid_value() {
            Some(uuid) if !self.database.client().features().await?.collection_uuid => {
                rawdoc! { "find": uuid }
            }
            _ => {
                let mut command = rawdoc! { "find": name };
                self.collection.append_uuid(&mut command);
                command
            }
        };
        for field in fields {
            let (name, value) = field?;
            command.append(name, value);
        }
        Ok(command)
    }
}

/// The name of a collection that was asked for as `name` and refused with `error`; `None` if it is gone.
///
/// # Errors
/// `error`, where it does not say where the collection is.
fn new_name(error: Error, name: &str) -> Result<Option<String>, Error> {
    match error.location(name) {
        Some(CollectionLocation::Renamed(actual)) => {
            tracing::debug!(from = name, to = actual, "following a renamed collection");
            Ok(Some(actual))
        }
        Some(CollectionLocation::Gone) => Ok(None),
        None => Err(error),
    }
}
