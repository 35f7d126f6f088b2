//! The source's change stream: the command that opens it, and positions in it.

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

use super::Error;
use crate::{
    model::{ClusterTime, Position},
    mongo::{self, Client, RawCursor, Retry},
};

/// The place at which a change stream begins.
pub(super) enum StreamBegin<'a> {
    /// After this position.
    After(&'a Position),
    /// With the events of this time.
    At(ClusterTime),
}

/// The first stage of a change stream of the whole source. Tokens depend on its options: a token of a
/// stream with other options cannot be resumed with (280).
pub(super) fn stage(begin: StreamBegin<'_>) -> RawDocumentBuf {
    let mut stage = rawdoc! {
        "allChangesForCluster": true,
        "showExpandedEvents": true,
        "showRawUpdateDescription": true,
    };
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
pub(super) async fn position_at(source: &Client, time: ClusterTime) -> Result<Position, Error> {
    let mut pipeline = RawArrayBuf::new();
    pipeline.push(stage(StreamBegin::At(time)));
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
