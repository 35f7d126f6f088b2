//! Writes on the source after the last event that the commit has applied: they are missing on the destination.

use std::{collections::BTreeMap, time::Duration};

use bson::{RawArrayBuf, RawDocument, rawdoc};

use crate::{
    metadata::NamespaceDocument,
    model::{ClusterTime, ErrorKind, Namespace, Position},
    mongo::{self, Delivery, RawCursor, append_oplog_note, listing},
    sync::{
        Context, Error,
        change_stream::{self, Events, StreamBegin},
    },
};

/// Time for the search, step-downs of the source included. A source that answers is searched in milliseconds.
const WITHIN: Duration = Duration::from_secs(5);

/// Pause after an attempt that failed.
const AGAIN: Duration = Duration::from_millis(100);

/// Namespaces that a sentence names.
const NAMED: usize = 5;

/// Documents of a reply.
const BATCH: u32 = 1_000;

/// Late writes, by namespace of the source.
#[derive(Default)]
struct LateWrites {
    counts: BTreeMap<String, u64>,
}

/// What the search has to say to the operator.
#[derive(Default)]
pub(in crate::sync) struct LateWriteReport {
    /// A sentence that names late writes; `None` where none was found.
    pub(in crate::sync) found: Option<String>,
    /// A sentence that tells why the search did not reach its end.
    pub(in crate::sync) unfinished: Option<String>,
}

/// Looks for writes in scope after the position. A source that cannot be searched ends no commit, as all that the commit
/// promises is on the destination.
///
/// # Errors
/// A failure of the destination, and of the filter.
pub(in crate::sync) async fn find(context: &Context) -> Result<LateWriteReport, Error> {
    let Some(position) = context.store.position().await? else {
        return Ok(LateWriteReport::default());
    };
    let known = context.store.namespaces().await?;
    let mut late = LateWrites::default();
    let search = search_again(context, &position.safe, &known, &mut late);
    let unfinished = match tokio::time::timeout(WITHIN, search).await {
        Ok(Ok(())) => None,
        Ok(Err(Error::Mongo(error))) => Some(error.to_string()),
        Ok(Err(error)) => return Err(error),
        Err(_elapsed) => Some(format!("not finished within {} s", WITHIN.as_secs())),
    };
    Ok(LateWriteReport {
        found: late.sentence(),
        unfinished: unfinished.map(|why| {
            format!(
                "The source was not searched to the end for writes after the last change that the destination has: {why}. \
                 If applications may have written to it during the commit, compare both clusters with tidegate verify."
            )
        }),
    })
}

/// Searches from the beginning until the source has answered: a cursor whose reply is lost cannot go on.
async fn search_again(
    context: &Context,
    position: &Position,
    known: &[NamespaceDocument],
    late: &mut LateWrites,
) -> Result<(), Error> {
    let now = listing::operation_time(&context.source).await?;
    let note = append_oplog_note(&context.source, bson::doc! { "tidegate": "commit" }, WITHIN);
    if let Ok(Delivery::Unknown(error)) | Err(error) = note.await {
        tracing::info!(error = %error, "oplog note failed; an idle source moves on within ten seconds");
    }
    loop {
        *late = LateWrites::default();
        match search(context, position, now, known, late).await {
            Err(Error::Mongo(error)) if error.kind() == ErrorKind::Transient => {
                tracing::info!(error = %error, "the search for late writes begins again");
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

/// Reads the events after `position` up to `now`.
async fn search(
    context: &Context,
    position: &Position,
    now: ClusterTime,
    known: &[NamespaceDocument],
    late: &mut LateWrites,
) -> Result<(), Error> {
    let mut pipeline = RawArrayBuf::new();
    let events = Events::of(&context.record.get());
    let features = context.source.features().await?;
    let begin = StreamBegin::After(position);
    pipeline.push(change_stream::stage(begin, events, features));
    // Tokens need the stream's own options, and the events only their names.
    pipeline.push(rawdoc! { "$project": { "operationType": 1, "ns": 1, "clusterTime": 1 } });
    let admin = context.source.database("admin");
    let command = change_stream::command(pipeline, BATCH);
    let mut cursor = RawCursor::open(&admin, command).await?;
    while let Some(reply) = cursor.next().await? {
        for event in reply.documents()? {
            let event = RawDocument::from_bytes(event?).map_err(mongo::Error::Bson)?;
            late.take(context, event, known)?;
        }
        let token = reply
            .document()
            .get_document("cursor")
            .and_then(|cursor| cursor.get_document("postBatchResumeToken"));
        let token = token.map_err(|_absent| mongo::Error::Reply("postBatchResumeToken"))?;
        if Position::from_token(token.to_owned()).is_some_and(|read| read.cluster_time >= now) {
            return Ok(());
        }
    }
    Ok(())
}

impl LateWrites {
    fn take(
        &mut self,
        context: &Context,
        event: &RawDocument,
        known: &[NamespaceDocument],
    ) -> Result<(), Error> {
        let Ok(ns) = event.get_document("ns") else {
            return Ok(());
        };
        let database = ns.get_str("db").unwrap_or_default();
        let Ok(collection) = ns.get_str("coll") else {
            return Ok(());
        };
        let namespace = Namespace::new(database, collection);
        let is_delete = event.get_str("operationType").ok() == Some("delete");
        // The server itself deletes there, on both clusters.
        if is_delete && expires(known, &namespace) {
            return Ok(());
        }
        if context.scope.destination(&namespace)?.is_some() {
            let shown = namespace.shown().to_string();
            *self.counts.entry(shown).or_default() += 1;
        }
        Ok(())
    }

    fn sentence(&self) -> Option<String> {
        if self.counts.is_empty() {
            return None;
        }
        let named: Vec<String> = self
            .counts
            .iter()
            .take(NAMED)
            .map(|(namespace, count)| format!("{namespace} ({count})"))
            .collect();
        let more = match self.counts.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "The source was written to after the last change that the destination has. Missing on the destination, by \
             collection and number of changes: {}{more}.",
            named.join(", ")
        ))
    }
}

/// Whether the server expires documents of the collection.
fn expires(known: &[NamespaceDocument], namespace: &Namespace) -> bool {
    let has_expiry =
        |document: &RawDocument| matches!(document.get("expireAfterSeconds"), Ok(Some(_)));
    known
        .iter()
        .filter(|known| known.source == *namespace)
        .any(|known| {
            has_expiry(&known.options) || known.indexes.iter().any(|index| has_expiry(index))
        })
}
