//! Retries of quarantined documents: each is looked up on the source and goes through its plugins
//! like any other.
//!
//! Retries run between rounds, and write documents that are newer than the current events. A
//! collection with plugins takes no deltas, so later events write whole documents, and the newest
//! version is written last.

use std::sync::Arc;

use super::{
    Context, Error,
    applier::Applier,
    freshness::Exactness,
    lookup::LookUpTime,
    pending_write::PendingDocument,
    tracked_collections::{TrackedCollection, TrackedCollections},
};
use crate::{
    metadata::{NamespaceDocument, QuarantineDocument},
    model::{ClusterTime, document_key::DocumentKey, raw},
};

/// Entries that are read in one page.
const PAGE: u32 = 1_000;

/// Retries every quarantined document once. Documents that fail again stay.
pub(super) async fn all(
    context: &Arc<Context>,
    tracked_collections: &TrackedCollections,
    exactness: &Arc<Exactness>,
    at_least: ClusterTime,
) -> Result<(), Error> {
    let mut applier = Applier::between_rounds(context, exactness);
    let mut after = String::new();
    loop {
        let page = context.store.quarantined(&after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        for entries in page.chunk_by(|a, b| a.namespace_id == b.namespace_id) {
            if let Some(tracked) = tracked_of(tracked_collections, entries) {
                look_up(&mut applier, tracked, entries, at_least).await?;
            }
        }
        after.clone_from(&last.id);
    }
}

fn tracked_of<'t>(
    tracked_collections: &'t TrackedCollections,
    entries: &[QuarantineDocument],
) -> Option<&'t Arc<TrackedCollection>> {
    let namespace_id = &entries.first()?.namespace_id;
    tracked_collections.get(NamespaceDocument::uuid_of_id(namespace_id))
}

async fn look_up(
    applier: &mut Applier,
    tracked: &TrackedCollection,
    entries: &[QuarantineDocument],
    at_least: ClusterTime,
) -> Result<(), Error> {
    let mut look_ups = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = raw::find(entry.document_id.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
        let key = DocumentKey::new(id.kind, id.value);
        look_ups.push(PendingDocument::looked_up(key, id.kind, id.value));
    }
    let time = LookUpTime::newest(at_least);
    applier.look_up(tracked, &mut look_ups, time).await
}
