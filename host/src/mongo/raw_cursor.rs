//! Replies of cursors as raw bytes.
//!
//! A cursor that breaks is not resumed here: the caller opens another one.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};
use futures::StreamExt;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::{
    Database, Error,
    cluster::bounded,
    read_transaction::{ReadTransaction, is_snapshot},
};
use crate::model::{
    ClusterTime,
    raw::{self, Malformed},
};

/// One reply of a cursor, as the server sent it.
pub struct RawReply {
    batch: RawBatch,
    /// The time of a read whose replies do not tell it.
    time: Option<ClusterTime>,
}

/// An open cursor. The driver kills it on the server when it is dropped.
pub struct RawCursor(Cursor);

enum Cursor {
    Plain(Box<RawBatchCursor>),
    InTransaction(Box<ReadTransaction>),
}

impl RawReply {
    /// The whole reply.
    pub fn document(&self) -> &RawDocument {
        self.batch.as_raw_document()
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
        Ok(self.batch.doc_slices()?.as_bytes())
    }

    /// The time of what was read, if the read was a snapshot read.
    pub fn snapshot_time(&self) -> Option<ClusterTime> {
        let cursor = self.document().get_document("cursor").ok();
        let told = cursor.and_then(|cursor| cursor.get_timestamp("atClusterTime").ok());
        self.time.or_else(|| told.map(ClusterTime::from))
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
        let cursor = database.driver().run_raw_cursor_command(command).batch();
        Ok(Self(Cursor::Plain(Box::new(cursor.await?))))
    }

    /// Opens the cursor of a `find`, once. A snapshot read takes a transaction where the server has it in no other way.
    /// Each reply has at most `batch_size` documents.
    pub(super) async fn find(
        database: &Database,
        command: RawDocumentBuf,
        batch_size: Option<u32>,
    ) -> Result<Self, Error> {
        if is_snapshot(&command) && !database.client().features().await?.snapshot_reads {
            let transaction = ReadTransaction::open(database, &command, batch_size).await?;
            return Ok(Self(Cursor::InTransaction(Box::new(transaction))));
        }
        let mut run = database.driver().run_raw_cursor_command(command);
        if let Some(batch_size) = batch_size {
            run = run.batch_size(batch_size);
        }
        Ok(Self(Cursor::Plain(Box::new(run.batch().await?))))
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
        Ok(Self(Cursor::Plain(Box::new(cursor.await?))))
    }

    /// The next reply; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RawReply>, Error> {
        let (batch, time) = match &mut self.0 {
            Cursor::Plain(cursor) => (cursor.next().await.transpose()?, None),
            Cursor::InTransaction(read) => (read.next().await?, Some(read.time())),
        };
        Ok(batch.map(|batch| RawReply { batch, time }))
    }

    /// Like [`Self::next`]. A cursor that has not answered within `bound` must not be asked again.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] after `bound`.
    pub async fn next_within(&mut self, bound: Duration) -> Result<Option<RawReply>, Error> {
        bounded(Some(bound), self.next()).await
    }
}
