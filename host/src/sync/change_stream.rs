//! The source's change stream: the command that opens it, and positions in it.

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

use super::Error;
use crate::{
    metadata::SessionDocument,
    model::{ClusterTime, Position},
    mongo::{self, Client, RawCursor, Retry, ServerFeatures},
};

/// The place at which a change stream begins.
pub(super) enum StreamBegin<'a> {
    /// After this position.
    After(&'a Position),
    /// With the events of this time.
    At(ClusterTime),
}

/// The collections whose events a change stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Events {
    /// All but `system.` collections.
    OfUserCollections,
    /// Also those of buckets (`showSystemEvents`, seen with 6.0.5).
    OfAllCollections,
}

impl Events {
    /// The events of the stream of a sync.
    pub(super) fn of(session: &SessionDocument) -> Self {
        match session.system_events {
            true => Self::OfAllCollections,
            false => Self::OfUserCollections,
        }
    }
}

/// The first stage of a change stream of the whole source. Tokens depend on its options: a stream that hides the
/// event of a token cannot be resumed with it (280). A stream with more events can.
pub(super) fn stage(
    begin: StreamBegin<'_>,
    events: Events,
    features: ServerFeatures,
) -> RawDocumentBuf {
    let mut stage = rawdoc! { "allChangesForCluster": true };
    if features.expanded_events {
        stage.append(bson::cstr!("showExpandedEvents"), true);
    }
    if features.raw_updates {
        stage.append(bson::cstr!("showRawUpdateDescription"), true);
    }
    if events == Events::OfAllCollections {
        stage.append(bson::cstr!("showSystemEvents"), true);
    }
    match begin {
        StreamBegin::After(position) => {
            stage.append(bson::cstr!("resumeAfter"), position.resume_token.clone());
        }
        StreamBegin::At(time) => stage.append(
            bson::cstr!("startAtOperationTime"),
            bson::Timestamp::from(time),
        ),
    }
    rawdoc! { "$changeStream": stage }
}

/// The command that opens a change stream, for the database `admin`.
pub(super) fn command(pipeline: RawArrayBuf, batch_size: u32) -> RawDocumentBuf {
    rawdoc! {
        "aggregate": 1,
        "pipeline": pipeline,
        "cursor": { "batchSize": i64::from(batch_size) },
        "readConcern": { "level": "majority" },
    }
}

/// The position at `time`: a stream after it begins with the events of `time` itself. Its token is that of
/// no event.
///
/// The server does not look whether the oplog holds the time until events are read (seen, 6.0.5).
///
/// # Errors
/// [`mongo::Error::Outage`] at the deadline; an error that is not transient.
pub(super) async fn position_at(
    source: &Client,
    time: ClusterTime,
    events: Events,
) -> Result<Position, Error> {
    let mut pipeline = RawArrayBuf::new();
    let features = source.features().await?;
    pipeline.push(stage(StreamBegin::At(time), events, features));
    let command = command(pipeline, 0);
    let admin = source.database("admin");
    let token = Retry::quick(source.contact(), "take a position")
        .run(async || {
            let mut cursor = RawCursor::open(&admin, command.clone()).await?;
            let reply = cursor.next().await?.ok_or(mongo::Error::CursorEnded)?;
            let cursor = reply.document().get_document("cursor");
            cursor
                .and_then(|cursor| cursor.get_document("postBatchResumeToken"))
                .map(ToOwned::to_owned)
                .map_err(|_absent| mongo::Error::Reply("postBatchResumeToken"))
        })
        .await?;
    let position = Position::from_token(token);
    Ok(position.ok_or(mongo::Error::Reply("a resume token with a time"))?)
}
