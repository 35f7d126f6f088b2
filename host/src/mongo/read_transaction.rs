//! Snapshot reads of a server before 5.0, which has them in transactions alone.
//!
//! Each cursor is the one statement of a read transaction. It asks for its time (`atClusterTime`), which 4.4.2 accepts of every
//! client there, and which makes the time of what was read known: the replies do not tell it. The time is one that a
//! majority has, so no roll-back takes back what was read; the server itself would wait for that at the commit, by a
//! write. The transaction is aborted: it has written nothing.
//!
//! The server ends a transaction after `transactionLifetimeLimitSeconds` (60 s by default), and its cursor with it
//! (290, 251): the caller opens another one, as for every cursor that breaks.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf, Timestamp, cstr, doc, rawdoc};
use futures::StreamExt;
use mongodb::{
    ClientSession,
    raw_batch_cursor::{RawBatch, SessionRawBatchCursor},
};
use tokio::time::sleep;

use super::{Client, Database, Error, Moment};
use crate::model::ClusterTime;

/// How long a read waits until a majority has its time.
const MAJORITY_WAIT: Duration = Duration::from_secs(10);

/// Between two looks at the time that a majority has.
const LOOK: Duration = Duration::from_millis(20);

/// The field of a `find` with its time.
const READ_CONCERN: &str = "readConcern";

/// A cursor in a transaction of its own. Both end when it is dropped, the cursor first.
pub(super) struct ReadTransaction {
    cursor: SessionRawBatchCursor,
    session: ClientSession,
    time: ClusterTime,
}

impl ReadTransaction {
    /// Opens the cursor of a `find`, once: at the time that its read concern asks for, or at the newest that a majority
    /// has. Each reply has at most `batch_size` documents.
    ///
    /// # Errors
    /// The server's refusal; [`Error::Stale`] where no majority has the time after [`MAJORITY_WAIT`].
    pub(super) async fn open(
        database: &Database,
        find: &RawDocument,
        batch_size: Option<u32>,
    ) -> Result<Self, Error> {
        let client = database.client();
        let time = time_of_majority(client, wanted_time(find)?).await?;
        let session = client.driver().start_session().causal_consistency(false);
        let mut session = session.await?;
        session.start_transaction().await?;
        let mut run = database.driver().run_raw_cursor_command(at(find, time)?);
        if let Some(batch_size) = batch_size {
            run = run.batch_size(batch_size);
        }
        Ok(Self {
            cursor: run.session(&mut session).batch().await?,
            session,
            time,
        })
    }

    /// The time of what is read.
    pub(super) fn time(&self) -> ClusterTime {
        self.time
    }

    /// The next reply; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RawBatch>, Error> {
        let mut replies = self.cursor.stream(&mut self.session);
        Ok(replies.next().await.transpose()?)
    }
}

/// Whether a `find` asks for a snapshot.
pub(super) fn is_snapshot(find: &RawDocument) -> bool {
    let level = find
        .get_document(READ_CONCERN)
        .and_then(|read_concern| read_concern.get_str("level"));
    level.is_ok_and(|level| level == "snapshot")
}

fn wanted_time(find: &RawDocument) -> Result<Option<Timestamp>, Error> {
    match find.get_document(READ_CONCERN)?.get("atClusterTime")? {
        Some(time) => Ok(time.as_timestamp()),
        None => Ok(None),
    }
}

/// The same `find` at this time.
fn at(find: &RawDocument, time: ClusterTime) -> Result<RawDocumentBuf, Error> {
    let mut command = RawDocumentBuf::new();
    for field in find {
        let (name, value) = field?;
        if name.as_str() != READ_CONCERN {
            command.append(name, value);
        }
    }
    let read_concern = rawdoc! { "level": "snapshot", "atClusterTime": Timestamp::from(time) };
    command.append(cstr!("readConcern"), read_concern);
    Ok(command)
}

/// The wanted time, once a majority has it; the newest time that a majority has, if none is wanted.
async fn time_of_majority(
    client: &Client,
    wanted: Option<Timestamp>,
) -> Result<ClusterTime, Error> {
    let begun = Moment::now();
    loop {
        let admin = client.driver().database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).await?;
        let newest = hello
            .get_document("lastWrite")
            .and_then(|last| last.get_document("majorityOpTime"))
            .and_then(|time| time.get_timestamp("ts"));
        let newest = newest.map_err(|_absent| Error::Reply("lastWrite.majorityOpTime.ts"))?;
        match wanted {
            None => return Ok(newest.into()),
            Some(wanted) if wanted <= newest => return Ok(wanted.into()),
            Some(_) if begun.elapsed() > MAJORITY_WAIT => return Err(Error::Stale),
            Some(_) => sleep(LOOK).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;

    #[test]
    fn a_find_asks_for_its_time_and_keeps_all_else() -> Result<()> {
        let find = rawdoc! { "find": "c", "readConcern": { "level": "snapshot" }, "limit": 2 };
        assert!(is_snapshot(&find));
        assert_eq!(wanted_time(&find)?, None);
        let time = Timestamp {
            time: 7,
            increment: 3,
        };
        let timed = at(&find, time.into())?;
        assert_eq!(wanted_time(&timed)?, Some(time));
        assert_eq!(timed.get_str("find")?, "c");
        assert_eq!(timed.get_i32("limit")?, 2);
        assert_eq!(timed.iter().count(), 3);
        assert!(!is_snapshot(
            &rawdoc! { "find": "c", "readConcern": { "level": "majority" } }
        ));
        assert!(!is_snapshot(&rawdoc! { "find": "c" }));
        Ok(())
    }
}
