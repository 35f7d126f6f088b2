//! Reads of a collection as raw bytes: no document is parsed.
//!
//! A collection is read by its UUID. The server refuses a command whose name stands for another collection
//! (CollectionUUIDMismatch, 361) and says which name the collection has (`actualCollection`), so a renamed
//! collection can be followed. A server before 6.0 does not know the UUID beside the name, and takes it in place of the
//! name: it then reads the collection under whichever name it has.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::{
    CollectionLocation, Database, Error, RawCursor, RawReply, Retry, cluster::bounded, code,
    write::CollectionRef,
};

/// Opens cursors over one collection.
pub struct RawReader {
    database: Database,
    collection: CollectionRef,
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
        RawCursor::find(&self.database, self.find(name, fields).await?, None).await
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
            let opened = RawCursor::find(&self.database, command, Some(batch_size));
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
        let command = self.find(name, fields).await?;
        let opened = RawCursor::find(&self.database, command, None).await;
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
