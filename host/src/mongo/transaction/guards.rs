//! Guard documents: their shape, the opening by a writer, and the new term of a new holder of the lease.
//! The protocol is described in `guarded_writer.rs`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bson::{Document, doc, oid::ObjectId, rawdoc};
use futures::TryStreamExt;
use mongodb::{
    Client, Collection,
    options::{ReadConcern, ReturnDocument},
};
use parking_lot::Mutex;

use super::super::{
    Error, Moment,
    cluster::Retry,
    outage, retry,
    write::{Command, Outcome, majority},
};
use crate::model::namespace::METADATA_DATABASE;

/// Shortest time for the opening of a writer that has waited for an outage.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The guard document of a writer, in a term of the lease. Each transaction of the writer changes it
/// first. A new holder raises the term in all guard documents, so that the server refuses late
/// transactions of previous holders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The collection of guard documents, in the metadata database.
    pub collection: &'static str,
    /// The document's `_id`.
    pub writer: String,
    /// The holder's term of the lease. A guard document of a higher term fences the writer.
    pub term: i64,
}

/// Counts of guards without a transaction in this term. Each count is taken once: afterwards only the
/// guard document tells it.
#[derive(Clone, Debug, Default)]
pub struct GuardCounts(Arc<Mutex<HashMap<String, i64>>>);

impl GuardCounts {
    /// The count for a writer's first transaction.
    pub(in crate::mongo) fn take(&self, writer: &str) -> Option<i64> {
        self.0.lock().remove(writer)
    }
}

#[derive(serde::Deserialize)]
pub(super) struct GuardDocument {
    #[serde(rename = "_id")]
    writer: String,
    term: i64,
    #[serde(default)]
    pub(super) writes: i64,
    /// Id of the last committed attempt.
    #[serde(default)]
    pub(super) attempt: Option<ObjectId>,
}

/// Increments the guard's count, so that transactions that were sent before do not match it any more.
/// Returns the count. The time of an outage counts from `since`.
pub(super) async fn open(client: &Client, guard: &Guard, since: Moment) -> Result<i64, Error> {
    let waited = since.elapsed();
    let rest = outage().saturating_sub(waited).max(ATTEMPT);
    let retry = Retry::destination("open a writer").within(rest);
    let opened = retry.run(|| async {
        let now = committed_once(client, guard).await?;
        let mine = doc! { "_id": &guard.writer, "term": now.term, "writes": now.writes };
        let opened = guards(client, guard)
            .find_one_and_update(mine, doc! { "$inc": { "writes": 1_i64 } })
            .return_document(ReturnDocument::After)
            .write_concern(majority())
            .max_time(Duration::from_secs(5))
            .await?;
        // A transaction that was sent before has been committed meanwhile: read again.
        opened.map(|guard| guard.writes).ok_or(Error::Stale)
    });
    opened.await.map_err(|error| error.after(waited))
}

/// The guard document, as committed on a majority.
pub(super) async fn committed(client: &Client, guard: &Guard) -> Result<GuardDocument, Error> {
    retry("look a commit up", || committed_once(client, guard)).await
}

async fn committed_once(client: &Client, guard: &Guard) -> Result<GuardDocument, Error> {
    let found = guards(client, guard)
        .find_one(doc! { "_id": &guard.writer })
        .read_concern(ReadConcern::majority())
        .await?;
    match found {
        Some(found) if found.term == guard.term => Ok(found),
        // A new primary does not know the majority's commit point at once.
        Some(found) if found.term < guard.term => Err(Error::Stale),
        _ => Err(Error::Fenced),
    }
}

fn guards(client: &Client, guard: &Guard) -> Collection<GuardDocument> {
    client
        .database(METADATA_DATABASE)
        .collection(guard.collection)
}

/// The command with the first statement of a transaction.
pub(super) fn statement(guard: &Guard, writes: i64, attempt: ObjectId) -> Command {
    let mine = rawdoc! { "_id": guard.writer.as_str(), "term": guard.term, "writes": writes };
    let count = rawdoc! { "$inc": { "writes": 1_i64 }, "$set": { "attempt": attempt } };
    let mut statements = bson::RawArrayBuf::new();
    statements.push(rawdoc! { "q": mine, "u": count });
    let body = rawdoc! { "update": guard.collection, "updates": statements };
    Command::new(METADATA_DATABASE, body)
}

/// Raises the term in the guard documents of `writers`, and creates missing guard documents. Waits for
/// open transactions of older terms. Idempotent, also when late: a term never decreases. Returns the
/// count of each guard in this term, in which no transaction was sent yet.
pub async fn raise_term(
    client: &Client,
    collection: &str,
    writers: &[&str],
    term: i64,
) -> Result<GuardCounts, Error> {
    let mut statements = bson::RawArrayBuf::new();
    for writer in writers {
        let mut pipeline = bson::RawArrayBuf::new();
        let raised = rawdoc! {
            "term": { "$max": ["$term", term] },
            "writes": { "$ifNull": ["$writes", 0_i64] },
        };
        pipeline.push(rawdoc! { "$set": raised });
        statements.push(rawdoc! { "q": { "_id": *writer }, "u": pipeline, "upsert": true });
    }
    let command = rawdoc! {
        "update": collection,
        "updates": statements,
        "writeConcern": { "w": "majority" },
        "maxTimeMS": 5_000,
    };
    let database = client.database(METADATA_DATABASE);
    let raised = retry("raise the term of all writers", || async {
        let reply: Document = database.run_raw_command(command.clone()).await?;
        let mut outcome = Outcome::read(&reply)?;
        match outcome.errors.pop() {
            Some(error) => Err(error.into_error()),
            None => Ok(outcome.n),
        }
    })
    .await?;
    if raised != writers.len() as u64 {
        return Err(Error::Broken("the term of each writer is raised"));
    }
    let raised = retry("read the guards", || async {
        let guards = database.collection::<GuardDocument>(collection);
        let raised = guards
            .find(doc! { "_id": { "$in": writers }, "term": term })
            .read_concern(ReadConcern::majority());
        Ok(raised.await?.try_collect::<Vec<_>>().await?)
    });
    let counts = raised.await?.into_iter();
    let counts = counts.map(|guard| (guard.writer, guard.writes)).collect();
    Ok(GuardCounts(Arc::new(Mutex::new(counts))))
}
