//! Reads the source's change stream as raw batches, and opens it again when it breaks.
//!
//! Each request to the source is a task that the reader keeps until it is answered. So a caller may
//! stop waiting and come back, however long the source takes, and an answer is noticed while no
//! caller waits.

use std::{ops::Range, sync::Arc, time::Duration};

use bson::{RawArrayBuf, RawDocumentBuf};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Error,
    caution::{self, Caution},
};
use crate::{
    model::{
        ClusterTime, ErrorKind, Position,
        event::ChangeEvent,
        raw::{self, Malformed, range_in},
    },
    mongo::{self, Client, FailureRun, Moment, RawCursor, RawReply, ServerFeatures, outage},
    sync::{
        change_stream::{self, Events, StreamBegin},
        status::Status,
    },
};

/// The time that the server waits for an event, before it answers with its newest position alone.
const AWAIT: Duration = Duration::from_millis(500);

/// The time for an answer. Doubled after each attempt without an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of a batch after which more events probably wait.
const LARGE_BATCH: usize = 1 << 20;

/// Bytes of an empty BSON document or array.
const EMPTY_DOCUMENT: usize = 5;

/// The change stream of the source.
pub(super) struct StreamReader {
    source: Client,
    status: Arc<Status>,
    features: ServerFeatures,
    events: Events,
    start_time: ClusterTime,
    /// The position after the last batch.
    position: Option<Position>,
    cursor: Option<RawCursor>,
    question: Option<AbortOnDropHandle<Answer>>,
    was_large: bool,
    failures: FailureRun,
    /// The pause before the next request.
    pause: Duration,
    /// The time for the next answer.
    bound: Duration,
    /// A cursor has lost its place, and no later cursor has answered yet.
    lost: bool,
    caution: Caution,
}

/// The outcome of a request, with the cursor if it can be used again.
struct Answer {
    begun: Moment,
    bound: Duration,
    cursor: Option<RawCursor>,
    /// The reply opened the cursor. It shows that the source answers, and not that the stream can
    /// be read.
    opened: bool,
    reply: Result<RawReply, mongo::Error>,
}

/// A reply of the stream.
pub(super) struct StreamBatch {
    reply: RawReply,
    features: ServerFeatures,
    /// The range of the array of events in the reply.
    events: Range<usize>,
    position: Option<Position>,
}

impl StreamReader {
    /// A stream after `position`, or from `start_time` if there is none. Opened with the first
    /// request.
    ///
    /// # Errors
    /// [`mongo::Error::Outage`] of a source that does not tell its features.
    pub(super) async fn new(
        source: Client,
        status: Arc<Status>,
        (events, start_time): (Events, ClusterTime),
        position: Option<Position>,
    ) -> Result<Self, mongo::Error> {
        Ok(Self {
            features: source.features().await?,
            failures: FailureRun::new(source.contact(), "read the change stream", outage()),
            source,
            status,
            events,
            start_time,
            position,
            cursor: None,
            question: None,
            was_large: false,
            pause: Duration::ZERO,
            bound: ANSWER,
            lost: false,
            caution: Caution::default(),
        })
    }

    /// The next batch, possibly without events. It is requested after a pause of `linger`, unless the previous batch
    /// was large.
    ///
    /// Cancel safe: a dropped call loses no batch.
    ///
    /// # Errors
    /// [`mongo::Error::Outage`] at the deadline; [`Error::PositionLost`]; an error that is not transient.
    pub(super) async fn next(&mut self, linger: Duration) -> Result<StreamBatch, Error> {
        loop {
            let question = match self.question.take() {
                Some(question) => question,
                None => self.ask(linger),
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
                    self.lost &= opened;
                    let batch = self.batch(reply)?;
                    if opened && batch.is_empty() {
                        self.failures.answered();
                    } else {
                        self.failures.succeeded();
                    }
                    self.relax(&batch)?;
                    return Ok(batch);
                }
                Err(error) if error.kind() == ErrorKind::Transient => {
                    self.caution.rise_after(&error);
                    if matches!(error, mongo::Error::NoAnswer(_)) {
                        self.bound *= 2;
                    }
                    self.pause = self.failures.failed(begun, Some(bound), error)?;
                }
                Err(error) if self.caution.rise_after(&error) => {}
                Err(error) if caution::is_too_large(&error) => {
                    return Err(Error::PositionLost(mongo::Error::EventTooLarge));
                }
                // The oplog may still hold the position that an open cursor has lost.
                Err(error) if error.is_position_lost() && !opened && !self.lost => {
                    tracing::info!(error = %error, "the change stream is opened again");
                    self.lost = true;
                }
                Err(error) if error.is_position_lost() => return Err(Error::PositionLost(error)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Counts oversize events of `batch`, and drops the cursor where the stream can be opened less cautiously.
    fn relax(&mut self, batch: &StreamBatch) -> Result<(), Error> {
        let mut oversize = 0;
        if self.caution.leaves_out_documents() {
            oversize = caution::count_oversize(batch.events()?)?;
            self.status.add_oversize_events(oversize);
        }
        if self.caution.relax(oversize) {
            self.cursor = None;
        }
        Ok(())
    }

    fn batch(&mut self, reply: RawReply) -> Result<StreamBatch, mongo::Error> {
        let token = reply
            .document()
            .get_document("cursor")
            .and_then(|cursor| cursor.get_document("postBatchResumeToken"))
            .map_err(|_absent| mongo::Error::Reply("postBatchResumeToken"))?;
        let position = Position::from_token(token.to_owned());
        if position.is_some() {
            self.position.clone_from(&position);
        }
        let events = range_in(reply.bytes(), reply.array()?);
        self.was_large = events.len() > LARGE_BATCH;
        Ok(StreamBatch {
            features: self.features,
            reply,
            events,
            position,
        })
    }

    /// Requests the next batch, from a new cursor if the previous cursor has broken.
    fn ask(&mut self, linger: Duration) -> AbortOnDropHandle<Answer> {
        let (admin, command) = (self.source.database("admin"), self.command());
        let batch_size = self.caution.batch_size();
        let linger = if self.was_large || self.cursor.is_none() {
            Duration::ZERO
        } else {
            linger
        };
        let (pause, bound) = (
            self.pause.max(linger),
            self.bound.min(self.failures.remaining()),
        );
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
                    None => RawCursor::tail(&admin, command, batch_size, AWAIT).await?,
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
        let begin = match &self.position {
            Some(position) => StreamBegin::After(position),
            None => StreamBegin::At(self.start_time),
        };
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(change_stream::stage(begin, self.events, self.features));
        self.caution.append_stage(&mut pipeline);
        change_stream::command(pipeline, self.caution.batch_size())
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

    /// The events of the batch.
    pub(super) fn events(
        &self,
    ) -> Result<impl Iterator<Item = Result<ChangeEvent<'_>, Malformed>>, Error> {
        let parse = match self.features.expanded_events {
            true => ChangeEvent::parse,
            false => ChangeEvent::parse_plain,
        };
        Ok(raw::documents(self.bytes())?.map(move |document| parse(document?)))
    }

    /// The stream's position after the batch.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.clone()
    }
}
