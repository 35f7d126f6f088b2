//! Reads the source's change stream as raw batches, and opens it again when it breaks.
//!
//! A question to the source is a task that the reader keeps until it is answered. So whoever
//! waits for it beside other things may stop waiting and come back, however long the source
//! takes, and an answer is noticed while nobody waits.

use std::{ops::Range, sync::Arc, time::Duration};

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use crate::{
    model::{
        ClusterTime, ErrorKind, Position,
        raw::{self, Malformed, range_in},
    },
    mongo::{self, Client, Failures, Moment, RawCursor, RawReply, outage},
    sync::status::Status,
};

/// Events in a reply at most: enough for the appliers' commands to be large.
const BATCH_EVENTS: u32 = 8_000;

/// How long the server waits for an event before it answers with none, and with its newest position.
const AWAIT: Duration = Duration::from_millis(500);

/// The time for an answer; twice as much after each attempt without one.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of a BSON document or array that holds nothing.
const EMPTY_DOCUMENT: usize = 5;

pub(super) struct StreamReader {
    source: Client,
    status: Arc<Status>,
    start_time: ClusterTime,
    /// The position behind the last batch that was read.
    behind: Option<Position>,
    cursor: Option<RawCursor>,
    question: Option<AbortOnDropHandle<Answer>>,
    failures: Failures,
    /// The pause before the next question.
    pause: Duration,
    /// The time for the next answer.
    bound: Duration,
}

/// What came of a question; the cursor, if it can be asked again.
struct Answer {
    begun: Moment,
    bound: Duration,
    cursor: Option<RawCursor>,
    /// The reply opened the cursor. It says that the source answers, not that the stream can be read.
    opened: bool,
    reply: Result<RawReply, mongo::Error>,
}

/// One reply of the stream.
pub(super) struct StreamBatch {
    reply: RawReply,
    /// The place of the array of events in the reply.
    events: Range<usize>,
    position: Option<Position>,
}

impl StreamReader {
    /// A stream behind `position`, or at `start_time` if there is none. Opened when it is asked
    /// for the first batch.
    pub(super) fn new(
        source: Client,
        status: Arc<Status>,
        start_time: ClusterTime,
        position: Option<Position>,
    ) -> Self {
        Self {
            failures: Failures::new(source.at(), "read the change stream", outage()),
            source,
            status,
            start_time,
            behind: position,
            cursor: None,
            question: None,
            pause: Duration::ZERO,
            bound: ANSWER,
        }
    }

    /// The next batch, maybe without events. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<StreamBatch, Error> {
        loop {
            let question = match self.question.take() {
                Some(question) => question,
                None => self.ask(),
            };
            let answer = self.question.insert(question).await;
            self.question = None;
            let Answer {
                begun,
                bound,
                cursor,
                opened,
                reply,
            } = answer?;
            match reply {
                Ok(reply) => {
                    self.cursor = cursor;
                    (self.pause, self.bound) = (Duration::ZERO, ANSWER);
                    let batch = self.batch(reply)?;
                    if opened && batch.is_empty() {
                        self.failures.answered();
                    } else {
                        self.failures.succeeded();
                    }
                    return Ok(batch);
                }
                Err(error) if error.kind() == ErrorKind::Transient => {
                    if matches!(error, mongo::Error::NoAnswer(_)) {
                        self.bound *= 2;
                    }
                    self.pause = self.failures.failed(begun, Some(bound), error)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn batch(&mut self, reply: RawReply) -> Result<StreamBatch, mongo::Error> {
        let token = reply
            .document()
            .get_document("cursor")
            .and_then(|cursor| cursor.get_document("postBatchResumeToken"))
            .map_err(|_absent| mongo::Error::Reply("postBatchResumeToken"))?;
        let position = Position::from_token(token.to_owned());
        if position.is_some() {
            self.behind.clone_from(&position);
        }
        let events = range_in(reply.bytes(), reply.array()?);
        Ok(StreamBatch {
            reply,
            events,
            position,
        })
    }

    /// Asks for the next batch, of a new cursor if the last one has broken.
    fn ask(&mut self) -> AbortOnDropHandle<Answer> {
        let (admin, command) = (self.source.database("admin"), self.command());
        let (pause, bound) = (self.pause, self.bound.min(self.failures.left()));
        let mut cursor = self.cursor.take();
        let status = self.status.clone();
        let opened = cursor.is_none();
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let begun = Moment::now();
            status.source_is_asked(begun);
            let asked = tokio::time::timeout(bound, async {
                let mut open = match cursor.take() {
                    Some(open) => open,
                    None => RawCursor::tail(&admin, command, BATCH_EVENTS, AWAIT).await?,
                };
                let reply = open.next().await?.ok_or(mongo::Error::CursorEnded)?;
                Ok((open, reply))
            });
            let answer = asked.await.unwrap_or(Err(mongo::Error::NoAnswer(bound)));
            let (cursor, reply) = match answer {
                Ok((cursor, reply)) => (Some(cursor), Ok(reply)),
                Err(error) => (None, Err(error)),
            };
            if reply.is_ok() {
                status.source_has_answered();
            }
            Answer {
                begun,
                bound,
                cursor,
                opened,
                reply,
            }
        }))
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

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.status.source_has_answered();
    }
}

impl StreamBatch {
    /// All bytes of the batch's array of events.
    pub(super) fn bytes(&self) -> &[u8] {
        let reply = self.reply.bytes();
        reply.get(self.events.clone()).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.bytes().len() <= EMPTY_DOCUMENT
    }

    pub(super) fn events(&self) -> Result<impl Iterator<Item = Result<&[u8], Malformed>>, Error> {
        Ok(raw::documents(self.bytes())?)
    }

    /// Where the stream stands behind the batch.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.clone()
    }
}
