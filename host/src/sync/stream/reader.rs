//! Reads the source's change stream as raw batches, and opens it again when it breaks.

use std::{ops::Range, time::Duration};

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use futures::StreamExt;
use mongodb::{
    Client,
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};

use crate::{
    model::{
        ClusterTime, ErrorKind, Position,
        raw::{self, Malformed, range_in},
    },
    mongo::{Error, retry},
};

/// Events in a reply at most: enough for the appliers' commands to be large.
const BATCH_EVENTS: u32 = 8_000;

/// How long the server waits for an event before it answers with none, and with its newest position.
const AWAIT: Duration = Duration::from_millis(500);

pub(super) struct Reader {
    source: Client,
    start_time: ClusterTime,
    /// The position behind the last batch that was read.
    behind: Option<Position>,
    cursor: Option<RawBatchCursor>,
}

/// One reply of the stream.
pub(super) struct StreamBatch {
    reply: RawBatch,
    /// The place of the array of events in the reply.
    events: Range<usize>,
    position: Option<Position>,
}

impl Reader {
    /// Opens the stream behind `position`, or at `start_time` if there is none.
    pub(super) async fn open(
        source: Client,
        start_time: ClusterTime,
        position: Option<Position>,
    ) -> Result<Self, Error> {
        let mut reader = Self {
            source,
            start_time,
            behind: position,
            cursor: None,
        };
        reader.cursor = Some(reader.reopen().await?);
        Ok(reader)
    }

    /// The next batch, maybe without events. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<StreamBatch, Error> {
        loop {
            if self.cursor.is_none() {
                self.cursor = Some(self.reopen().await?);
            }
            let Some(cursor) = self.cursor.as_mut() else {
                continue;
            };
            match cursor.next().await {
                Some(Ok(reply)) => return self.batch(reply),
                None => self.cursor = None,
                Some(Err(error)) => {
                    let error = Error::from(error);
                    if error.kind() != ErrorKind::Transient {
                        return Err(error);
                    }
                    tracing::info!(error = %error, "opening the change stream again");
                    self.cursor = None;
                }
            }
        }
    }

    fn batch(&mut self, reply: RawBatch) -> Result<StreamBatch, Error> {
        let token = reply
            .as_raw_document()
            .get_document("cursor")
            .and_then(|cursor| cursor.get_document("postBatchResumeToken"))
            .map_err(|_absent| Error::Reply("postBatchResumeToken"))?;
        let position = Position::from_token(token.to_owned());
        if position.is_some() {
            self.behind.clone_from(&position);
        }
        let events = range_in(
            reply.as_raw_document().as_bytes(),
            reply.doc_slices()?.as_bytes(),
        );
        Ok(StreamBatch {
            reply,
            events,
            position,
        })
    }

    async fn reopen(&mut self) -> Result<RawBatchCursor, Error> {
        let (admin, command) = (self.source.database("admin"), self.command());
        retry("open the change stream", || async {
            let cursor = admin
                .run_raw_cursor_command(command.clone())
                .batch_size(BATCH_EVENTS)
                .max_time(AWAIT)
                .batch()
                .await?;
            Ok(cursor)
        })
        .await
    }

    fn command(&self) -> RawDocumentBuf {
        let mut stage = rawdoc! {
            "allChangesForCluster": true,
            "showExpandedEvents": true,
            "showRawUpdateDescription": true,
        };
        match &self.behind {
            Some(position) => {
                stage.append(bson::cstr!("resumeAfter"), position.resume_token.clone())
            }
            None => stage.append(
                bson::cstr!("startAtOperationTime"),
                bson::Timestamp::from(self.start_time),
            ),
        }
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$changeStream": stage });
        rawdoc! {
            "aggregate": 1,
            "pipeline": pipeline,
            "cursor": { "batchSize": i64::from(BATCH_EVENTS) },
            "readConcern": { "level": "majority" },
        }
    }
}

impl StreamBatch {
    /// All bytes of the batch's array of events.
    pub(super) fn bytes(&self) -> &[u8] {
        let reply = self.reply.as_raw_document().as_bytes();
        reply.get(self.events.clone()).unwrap_or_default()
    }

    pub(super) fn events(&self) -> Result<impl Iterator<Item = Result<&[u8], Malformed>>, Error> {
        Ok(raw::documents(self.bytes())?)
    }

    /// Where the stream stands behind the batch.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.clone()
    }
}
