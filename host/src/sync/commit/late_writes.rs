//! Writes on the source after the last event that the commit has applied: they are missing on the destination.

use std::{collections::BTreeMap, time::Duration};

use bson::{RawArrayBuf, RawDocument, rawdoc};

use crate::{
    metadata::NamespaceDocument,
    model::{ClusterTime, Namespace, Position},
    mongo::{self, Delivery, RawCursor, append_oplog_note, listing},
    sync::{
        Context, Error,
        change_stream::{self, StreamBegin},
    },
};

/// Time for the search. The writers of an application are stopped by then, or seen at once.
const WITHIN: Duration = Duration::from_secs(2);

/// Namespaces that a sentence names.
const NAMED: usize = 5;

/// Documents of a reply.
const BATCH: u32 = 1_000;

/// Late writes, by namespace of the source.
#[derive(Default)]
struct LateWrites {
    counts: BTreeMap<String, u64>,
}

/// Looks for writes in scope after the position. Returns a sentence for the operator, or `None` without such a write.
///
/// # Errors
/// A failure of the source that is not transient, and an outage.
pub(in crate::sync) async fn find(context: &Context) -> Result<Option<String>, Error> {
    let Some(position) = context.store.position().await? else {
        return Ok(None);
    };
    let now = listing::operation_time(&context.source).await?;
    let note = append_oplog_note(&context.source, bson::doc! { "tidegate": "commit" }, WITHIN);
    if let Ok(Delivery::Unknown(error)) | Err(error) = note.await {
        tracing::info!(error = %error, "oplog note failed; an idle source moves on within ten seconds");
    }
    let known = context.store.namespaces().await?;
    let mut late = LateWrites::default();
    let search = search(context, &position.safe, now, &known, &mut late);
    match tokio::time::timeout(WITHIN, search).await {
        Ok(found) => found?,
        Err(_elapsed) => tracing::info!("the source was not searched to the end for late writes"),
    }
    Ok(late.sentence())
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
    pipeline.push(change_stream::stage(StreamBegin::After(position)));
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
            *self.counts.entry(namespace.to_string()).or_default() += 1;
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
